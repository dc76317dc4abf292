"""Journals of earlier releases are read."""

from __future__ import annotations

from pathlib import Path

from udfs.decisions.journal import Entry, Outcomes, decode_entry, encode_entry
from udfs.decisions.killed import Killed

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

PLAIN = Entry(
    Killed(flows=frozenset({"offer"})), 1_700_000_000_123,
    [b"u", None], [b'{"event_id": "e1"}', None], [0, 3], [17, 18],
)  # fmt: skip
SETTLED = Entry(
    Killed(), 5, [b"u"], [b"{}"], [1], [2], Outcomes(b"\x01\x00", {"decisions": 1, "scored": 2})
)


def test_an_entry_without_outcomes() -> None:
    """As the first release wrote them: what came of its triggers is worked out again."""
    blob = bytes.fromhex((GOLDEN / "journal_v1.hex").read_text())
    assert decode_entry(blob) == PLAIN


def test_an_entry_with_outcomes() -> None:
    """As this release writes them, to the byte."""
    blob = bytes.fromhex((GOLDEN / "journal_v2.hex").read_text())
    assert decode_entry(blob) == SETTLED
    assert encode_entry(SETTLED) == blob
