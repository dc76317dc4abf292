"""The n latest events."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from udfs.aggregation.windows.window import ALWAYS

if TYPE_CHECKING:
    from udfs.aggregation.windows.window import Kept


class LastN:
    """``{"last": n}``. Kept, and the cell: ``[times, items]``, by time and arrival.

    Args:
        n: How many events.
    """

    retention_ms = None

    def __init__(self, n: int) -> None:
        self._n = n

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept:  # noqa: ARG002 - the seam
        """Put one in at its place; the oldest goes."""
        if kept is None:
            return [[time], [item]]
        times, items = kept
        if time >= times[-1]:
            times.append(time)
            items.append(item)
        else:
            place = bisect_right(times, time)
            times.insert(place, time)
            items.insert(place, item)
        if len(times) > self._n:
            del times[0], items[0]
        return kept

    def complete_since(self, since: int) -> None:
        """There is no such time: it takes n events, not time."""

    def read(self, kept: Kept, at: int) -> tuple[Any, int]:  # noqa: ARG002 - the seam
        """Give what is kept."""
        return kept, ALWAYS
