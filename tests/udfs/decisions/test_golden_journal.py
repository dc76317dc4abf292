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
KEPT_BACK = Entry(Killed(), 5, [b"u"], [b"{}"], [1], [2], SETTLED.outcomes, {"flood": 3})


def golden(name: str) -> bytes:
    """Read a blob."""
    return bytes.fromhex((GOLDEN / name).read_text())


def test_an_entry_without_outcomes() -> None:
    """As the first release wrote them: what came of its triggers is worked out again."""
    assert decode_entry(golden("journal_v1.hex")) == PLAIN


def test_an_entry_without_fuses() -> None:
    """With outcomes, and nothing of what fuses kept back."""
    assert decode_entry(golden("journal_v2.hex")) == SETTLED


def test_an_entry_with_fuses() -> None:
    """As this release writes them, to the byte."""
    blob = golden("journal_v3.hex")
    assert decode_entry(blob) == KEPT_BACK
    assert encode_entry(KEPT_BACK) == blob
