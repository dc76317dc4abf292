"""What a window without raw entries keeps: partial results, ready for the next item.

Where the order matters, the items are kept themselves, with their times, as far as the operation
needs them: an item that comes late goes to its place.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from udfs.aggregation.operations.operation import Operation

Cell: TypeAlias = Any
"""What a `Cells` keeps of some items, as MessagePack holds it."""


class Cells(Protocol):
    """Makes and reads the cells of one operation."""

    def new(self, time: int, item: Any) -> Cell:
        """Give a cell with one item in it."""

    def add(self, cell: Cell, time: int, item: Any) -> Cell:
        """Give the cell with one item more; `cell` may be changed. HOT."""

    def merge(self, first: Cell, second: Cell) -> Cell:
        """Join two; no item of the second is earlier than one of the first."""

    def value(self, cell: Cell) -> Any:
        """Give the value."""


def cells_of(operation: Operation, *, raw: bool = False) -> Cells:
    """Give what suits an operation.

    Args:
        operation: The operation.
        raw: Cells hold items though their order does not matter.
    """
    return _Sequences(operation) if raw or operation.ordered else _Partials(operation)


class _Partials:
    """The order does not matter: the cell is the partial result."""

    __slots__ = ("_fold", "_update", "merge", "value")

    def __init__(self, operation: Operation) -> None:
        self._fold = operation.fold
        self._update = operation.update
        self.merge = operation.merge
        self.value = operation.finalize

    def new(self, time: int, item: Any) -> Cell:  # noqa: ARG002 - the seam
        return self._fold([item])

    def add(self, cell: Cell, time: int, item: Any) -> Cell:  # noqa: ARG002 - the seam
        return self._update(cell, item)


class _Sequences:
    """The order matters: the cell is ``[times, items]``."""

    __slots__ = ("_keep", "value_of")

    def __init__(self, operation: Operation) -> None:
        self._keep = operation.keep
        self.value_of = operation.direct

    def new(self, time: int, item: Any) -> Cell:
        return [[time], [item]]

    def add(self, cell: Cell, time: int, item: Any) -> Cell:
        times, items = cell
        place = len(times) if time >= times[-1] else bisect_right(times, time)
        times.insert(place, time)
        items.insert(place, item)
        self._keep(times, items)
        return cell

    def merge(self, first: Cell, second: Cell) -> Cell:
        times, items = [*first[0], *second[0]], [*first[1], *second[1]]
        self._keep(times, items)
        return [times, items]

    def value(self, cell: Cell) -> Any:
        return self.value_of(cell[1])
