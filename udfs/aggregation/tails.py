"""Raw tails of sliding windows: entries of a fixed size, time first, packed into bytes.

An update appends to the bytes without looking at them. Reading happens at or after every
event time seen, so an entry that has left the window of the newest event never comes back;
such entries are dropped once enough of them may have gathered.
"""

from __future__ import annotations

from typing import Final

TRIM_FROM_ENTRIES: Final = 32
"""Shorter tails are left alone: what could be dropped is worth less than the look."""


def slack_ms(window_ms: int) -> int:
    """Give how far past the window the oldest entry may lie before a tail is trimmed.

    An eighth of the window: a tail is at most that much too long, and is gone through at
    most eight times while a window passes, however many events it holds.
    """
    return window_ms // 8
