"""All events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.windows.window import ALWAYS

if TYPE_CHECKING:
    from udfs.aggregation.cells import Cells
    from udfs.aggregation.windows.window import Kept


class Lifetime:
    """``lifetime``. Kept: one cell."""

    retention_ms = None

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def update(self, kept: Kept | None, time: int, newest: int, item: Any) -> Kept:  # noqa: ARG002 - the seam
        """Add to the cell."""
        return self._cells.new(time, item) if kept is None else self._cells.add(kept, time, item)

    def complete_since(self, since: int) -> None:
        """There is no such time: whatever came before is missing for ever."""

    def read(self, kept: Kept, at: int) -> tuple[Any, int]:  # noqa: ARG002 - the seam
        """Give the cell."""
        return kept, ALWAYS
