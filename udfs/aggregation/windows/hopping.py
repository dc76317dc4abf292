"""Sliding windows in steps: bounded state, and at most one hop too many."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udfs.aggregation.cells import Cells
    from udfs.aggregation.windows.window import Kept


class Hopping:
    """``{"sliding": d, "hop": h}``: tiles whose number ``event_time // h >= (t - d) // h``.

    Kept: ``[[number, cell] …]``, rising.

    Args:
        cells: Of the operation.
        window_ms: d.
        hop_ms: h; divides d.
    """

    def __init__(self, cells: Cells, window_ms: int, hop_ms: int) -> None:
        self._cells = cells
        self._window_ms = window_ms
        self._hop_ms = hop_ms
        self.retention_ms = window_ms + hop_ms

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept | None:
        """Add to the tile; drop tiles that have left the window of the newest event."""
        hop_ms = self._hop_ms
        number = time // hop_ms
        oldest = (newest - self._window_ms) // hop_ms
        if kept is None:
            return [[number, self._cells.new(time, item)]] if number >= oldest else None
        while kept and kept[0][0] < oldest:
            del kept[0]
        if number < oldest:
            return kept or None
        place = len(kept)
        while place and kept[place - 1][0] > number:
            place -= 1
        if place and kept[place - 1][0] == number:
            tile = kept[place - 1]
            tile[1] = self._cells.add(tile[1], time, item)
        else:
            kept.insert(place, [number, self._cells.new(time, item)])
        return kept

    def complete_since(self, since: int) -> int:
        """Give when the first whole tile is the oldest of the window."""
        return (since // self._hop_ms + 1) * self._hop_ms + self._window_ms

    def read(self, kept: Kept, at: int) -> tuple[Any, int] | None:
        """Merge the tiles of the window."""
        oldest = (at - self._window_ms) // self._hop_ms
        inside = [cell for number, cell in kept if number >= oldest]
        if not inside:
            return None
        until = (oldest + 1) * self._hop_ms + self._window_ms
        return reduce(self._cells.merge, inside), until
