"""Number of events."""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation.tails import TRIM_FROM_ENTRIES, slack_ms

if TYPE_CHECKING:
    from udfs.aggregation.section import Sections

_ENTRY: Final = struct.Struct("<q")
_pack = _ENTRY.pack
_first: Final = _ENTRY.unpack_from
_TRIM_FROM: Final = TRIM_FROM_ENTRIES * _ENTRY.size


class LifetimeCount:
    """All events. State: an integer."""

    __slots__ = ("key", "skipped")

    def __init__(self, key: int) -> None:
        self.key = key
        self.skipped = 0

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:  # noqa: ARG002 - the seam
        """Count."""
        sections[self.key] = sections.get(self.key, 0) + 1

    def read(self, sections: Sections, at: int) -> int:  # noqa: ARG002 - the seam
        """Give the count."""
        count: int = sections.get(self.key, 0)
        return count


class SlidingCount:
    """Events of the last ``window_ms``. State: their times, 8 bytes each."""

    __slots__ = ("_slack_ms", "_window_ms", "key", "skipped")

    def __init__(self, key: int, window_ms: int) -> None:
        self.key = key
        self.skipped = 0
        self._window_ms = window_ms
        self._slack_ms = slack_ms(window_ms)

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:  # noqa: ARG002 - the seam
        """Append the time, unless no reading will ever see it."""
        floor = newest - self._window_ms
        if time <= floor:
            return
        tail = sections.get(self.key)
        if type(tail) is not bytearray:  # as decoded, or None
            tail = sections[self.key] = bytearray(tail or b"")
        if len(tail) >= _TRIM_FROM and _first(tail)[0] <= floor - self._slack_ms:
            tail[:] = b"".join(
                [_pack(entry[0]) for entry in _ENTRY.iter_unpack(tail) if entry[0] > floor]
            )
        tail += _pack(time)

    def read(self, sections: Sections, at: int) -> int:
        """Count the times inside the window. HOT."""
        tail = sections.get(self.key)
        if not tail:
            return 0
        floor = at - self._window_ms
        times = sorted(struct.unpack(f"<{len(tail) // _ENTRY.size}q", tail))  # they mostly are
        return len(times) - bisect_right(times, floor)
