"""Windows side by side, in the days of a time zone."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from udfs.aggregation.cells import Cells
    from udfs.aggregation.windows.window import Kept

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)
_MONDAY: Final = 4
"""Days from 1970-01-01, a Thursday, to the first Monday."""
_LAST_MS: Final = 253_370_592_000_000
"""9998-12-30: from here on there is no calendar, days are those of UTC, and a month has no end."""
_LAST_DAY: Final = 2_932_800
"""A little before the last day that dates know; windows of centuries may end behind it."""
_REMEMBERED: Final = 64


class Calendar:
    """Cuts time into windows.

    Args:
        length: Milliseconds that divide a day, or whole days; or ``week``, ``month``.
        zone: Name of the time zone, None for UTC.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: No such zone.
    """

    def __init__(self, length: int | str, zone: str | None) -> None:
        self._length = length
        self._zone = None if zone in (None, "UTC") else ZoneInfo(str(zone))
        self._starts: list[int] = []
        self._ends: list[int] = []

    def window(self, time: int) -> tuple[int, int]:
        """Give start and end (exclusive) of the window that holds a time, ms. HOT.

        Windows that were asked for lately are remembered; a calendar costs microseconds.
        """
        place = bisect_right(self._starts, time) - 1
        if place >= 0 and time < self._ends[place]:
            return self._starts[place], self._ends[place]
        start, end = self._find(time)
        if time < _LAST_MS:
            end = min(end, _LAST_MS)
        else:
            start = max(start, _LAST_MS)
        if len(self._starts) >= _REMEMBERED:
            self._starts, self._ends = [], []
        place = bisect_right(self._starts, start)
        self._starts.insert(place, start)
        self._ends.insert(place, end)
        return start, end

    def _find(self, time: int) -> tuple[int, int]:
        zone = None if time >= _LAST_MS else self._zone
        day = _day(time, zone)
        length = self._length
        if isinstance(length, int) and length < DAY_MS:
            midnight, next_midnight = _midnight(day, zone), _midnight(day + 1, zone)
            start = midnight + (time - midnight) // length * length
            return start, min(start + length, next_midnight)
        if isinstance(length, int):
            days = length // DAY_MS
            first = day // days * days
            return _midnight(first, zone), _midnight(first + days, zone)
        if length == "week":
            first = (day - _MONDAY) // 7 * 7 + _MONDAY
            return _midnight(first, zone), _midnight(first + 7, zone)
        if time >= _LAST_MS:
            return _LAST_MS, 2**63
        found = _EPOCH + timedelta(days=day)
        first = day - found.day + 1
        return _midnight(first, zone), _midnight(first + _days_of_month(found), zone)


def _day(time: int, zone: ZoneInfo | None) -> int:
    """Give the number of the local day that holds a time."""
    if zone is None:
        return time // DAY_MS
    local = datetime.fromtimestamp(time // 1000, UTC).astimezone(zone)
    return (local.date() - _EPOCH).days


def _midnight(day: int, zone: ZoneInfo | None) -> int:
    """Give the time at which a local day begins."""
    if zone is None or day >= _LAST_DAY:
        return day * DAY_MS
    found = _EPOCH + timedelta(days=day)
    begin = datetime(found.year, found.month, found.day, tzinfo=zone)
    return round(begin.timestamp()) * 1000


def _days_of_month(day: date) -> int:
    later = day.replace(day=28) + timedelta(days=4)
    return (later - timedelta(days=later.day)).day


class Tumbling:
    """``{"tumbling": d, "timezone": z}``. Kept: ``[start, cell]`` of the latest window.

    Args:
        cells: Of the operation.
        calendar: Cuts the windows.
        longest_ms: No window is longer.
    """

    def __init__(self, cells: Cells, calendar: Calendar, longest_ms: int) -> None:
        self._cells = cells
        self._window = calendar.window
        self.retention_ms = longest_ms

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept | None:  # noqa: ARG002 - the seam
        """Add to the cell, or begin a new one; what belongs to a window before is too late."""
        start, _ = self._window(time)
        if kept is None or start > kept[0]:
            return [start, self._cells.new(time, item)]
        if start == kept[0]:
            kept[1] = self._cells.add(kept[1], time, item)
        return kept

    def complete_since(self, since: int) -> int:
        """Give the first window that begins after it."""
        return self._window(since)[1]

    def read(self, kept: Kept, at: int) -> tuple[Any, int] | None:
        """Give the cell while its window lasts."""
        start, end = self._window(at)
        return (kept[1], end) if start == kept[0] else None
