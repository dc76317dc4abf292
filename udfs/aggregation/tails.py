"""Raw tails of sliding windows: entries of a fixed size, time first, packed into bytes.

An update appends to the bytes without looking at them. Reading happens at or after every
event time seen, so an entry that has left the window of the newest event never comes back;
such entries are dropped once enough of them may have gathered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from struct import Struct

TRIM_FROM_ENTRIES: Final = 32
"""Shorter tails are left alone: what could be dropped is worth less than the look."""


def slack_ms(window_ms: int) -> int:
    """Give how far past the window the oldest entry may lie before a tail is trimmed.

    An eighth of the window: a tail is at most that much too long, and is gone through at
    most eight times while a window passes, however many events it holds.
    """
    return window_ms // 8


def trimmed(tail: bytes, entry: Struct, floor: int) -> bytes:
    """Keep the entries whose first field is above ``floor``."""
    kept = [e for e in entry.iter_unpack(tail) if e[0] > floor]
    pack = entry.pack
    return b"".join([pack(*e) for e in kept])
