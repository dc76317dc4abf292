"""State of a shard as a whole, as earlier releases wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from udfs.decisions.completeness import decode_ages, encode_ages
from udfs.decisions.header import COUNTS, Clock, Header, decode_header, encode_header
from udfs.errors import StateIncompatible

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

HEADER = Header(
    revision=7,
    clocks={0: Clock(1_700_000_000_000, 41, 1_699_999_999_000), 3: Clock(-1, 5)},
    counts={name: number for number, name in enumerate(COUNTS)},
    timer_at=1_700_000_009_999,
    told=(3, 2),
)


def golden(name: str) -> bytes:
    """Read a blob."""
    return bytes.fromhex((GOLDEN / name).read_text())


def test_a_header_without_first_times() -> None:
    """Nobody noted when a partition began that has brought events."""
    found = decode_header(golden("header_v1.hex"))
    assert found.clocks == {0: Clock(1_700_000_000_000, 41, 0), 3: Clock(-1, 5, -1)}
    found.clocks = HEADER.clocks
    assert found == HEADER


def test_a_header() -> None:
    """As this release writes it, to the byte."""
    assert decode_header(golden("header_v2.hex")) == HEADER
    assert encode_header(HEADER) == golden("header_v2.hex")


def test_ages() -> None:
    """As this release writes them, to the byte; and as they were without aggregates."""
    first, ages = decode_ages(golden("rule_ages_v1.hex")), decode_ages(golden("ages_v2.hex"))
    assert first is not None
    assert ages is not None
    for one in (first.rules, ages.rules):
        assert one.since == {b"8bytes-a": -1, b"8bytes-b": 1_700_000_000_000, b"8bytes-c": -1}
        assert one.finishing == {b"8bytes-d": 5}
    assert first.aggregates.since == {}
    assert ages.aggregates.since == {2**62: (1_700_000_000_000, 0), 7: (-1, 3_600_000)}
    assert encode_ages(ages) == golden("ages_v2.hex")
    assert decode_ages(None) is None


@pytest.mark.parametrize(
    ("blob", "words"), [(b"\x93\x03\x80\x80", "release that wrote it"), (b"\x01", "damaged")]
)
def test_ages_that_cannot_be_read(blob: bytes, words: str) -> None:
    """With words that say what to do."""
    with pytest.raises(StateIncompatible, match=words):
        decode_ages(blob)
