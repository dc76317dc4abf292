"""Dead letters and late copies."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from udfs.errors import InvalidEvent
from udfs.events.dead_letters import HEAD_BYTES, MAX_VALUE_BYTES, dead_letter
from udfs.events.late import late_copy
from udfs.events.reasons import REASONS

ERROR = InvalidEvent("wrong_type", "$.os", "Expected `str`, got `int`")


def test_original_bytes_and_headers() -> None:
    """The value is kept as it came."""
    letter = dead_letter(b"\xff{", ERROR, partition=3, offset=17, mapping="h5", revision=42)
    assert letter.value == b"\xff{"
    assert letter.headers == [
        ("error", b"wrong_type"),
        ("where", b"$.os"),
        ("detail", b"Expected `str`, got `int`"),
        ("mapping", b"h5"),
        ("revision", b"42"),
        ("partition", b"3"),
        ("offset", b"17"),
    ]


def test_null_stays_distinct_from_empty() -> None:
    """A tombstone becomes empty bytes and says so."""
    error = InvalidEvent("tombstone", "$", "the record has no value")
    assert dead_letter(None, error, partition=0, offset=0).value == b""
    assert dict(dead_letter(None, error, partition=0, offset=0).headers)["null_value"] == b"true"
    assert "null_value" not in dict(dead_letter(b"", ERROR, partition=0, offset=0).headers)


@pytest.mark.parametrize("extra", [0, 1])
def test_values_are_cut_beyond_900_kb(extra: int) -> None:
    """Exactly 900,000 bytes are kept; beyond that what is needed to find the record."""
    raw = bytes(range(256)) * 3_516
    raw = raw[: MAX_VALUE_BYTES + extra].ljust(MAX_VALUE_BYTES + extra, b"x")
    letter = dead_letter(raw, ERROR, partition=3, offset=17)
    assert ("cut" in dict(letter.headers)) == bool(extra)
    if not extra:
        assert letter.value == raw
        return
    assert json.loads(letter.value) == {
        "head": base64.b64encode(raw[:HEAD_BYTES]).decode(),
        "length": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "partition": 3,
        "offset": 17,
    }


def test_headers_take_any_text() -> None:
    """Neither a lone surrogate nor endless text breaks a header."""
    error = InvalidEvent("unknown_field", "$\ud800", "x" * 10_000)
    headers = dict(dead_letter(b"", error, partition=0, offset=0).headers)
    assert headers["where"] == b"$\\ud800"
    assert len(headers["detail"]) == 1_000


def test_late_copies_are_marked() -> None:
    """How late, and where it came from."""
    copy = late_copy(b"{}", event_time=5, firing_clock=9, partition=1, offset=2)
    assert copy.value == b"{}"
    assert dict(copy.headers) == {
        "reason": b"late",
        "event_time": b"5",
        "firing_clock": b"9",
        "partition": b"1",
        "offset": b"2",
    }


def test_all_reasons_are_documented() -> None:
    """The table of docs/events.md lists each reason."""
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) >= set(REASONS)
