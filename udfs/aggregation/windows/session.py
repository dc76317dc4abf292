"""The chain of events that ends at the latest, neighbours at most a gap apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from udfs.aggregation.cells import Cells
    from udfs.aggregation.windows.window import Kept

CHAINS: Final = 8
"""So many earlier chains are kept: a late event may join them to the last one."""


class Session:
    """``{"session": g}``. Kept: ``[[start, end, cell] …]``, rising, the last one counts.

    Args:
        cells: Of the operation.
        gap_ms: g.
    """

    def __init__(self, cells: Cells, gap_ms: int) -> None:
        self._cells = cells
        self._gap_ms = gap_ms
        self.retention_ms = gap_ms

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept:  # noqa: ARG002 - the seam
        """Lengthen a chain, join two, or begin one."""
        if kept is None:
            return [[time, time, self._cells.new(time, item)]]
        gap_ms = self._gap_ms
        place = len(kept)
        while place and kept[place - 1][0] - gap_ms > time:
            place -= 1
        if not place or time > kept[place - 1][1] + gap_ms:
            kept.insert(place, [time, time, self._cells.new(time, item)])
            if len(kept) > CHAINS:
                del kept[0]
            return kept
        chain = kept[place - 1]
        chain[2] = self._cells.add(chain[2], time, item)
        chain[0] = min(chain[0], time)
        chain[1] = max(chain[1], time)
        if place > 1 and chain[0] - kept[place - 2][1] <= gap_ms:
            before = kept[place - 2]
            kept[place - 2 : place] = [
                [before[0], chain[1], self._cells.merge(before[2], chain[2])]
            ]
        return kept

    def complete_since(self, since: int) -> None:
        """There is no such time: nobody knows when the session that was open then began."""

    def read(self, kept: Kept, at: int) -> tuple[Any, int] | None:
        """Give the last chain's cell until the chain has ended."""
        _, end, cell = kept[-1]
        until = end + self._gap_ms + 1
        return (cell, until) if at < until else None
