"""What a function is made of: an algebra of partial results.

An event's value is *prepared* into an item. Items in the order of ``(event_time, arrival)`` are
*folded* into a partial result; partial results of neighbouring stretches *merge*; some can be
*deleted* again. Nothing becomes a value before it is *finalized*. Windows are built from these
alone, so every function works over every window.

Partial results are what MessagePack holds (integers of 64 bits, doubles, texts, lists, maps),
because they lie in the user's state.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Partial: TypeAlias = Any
"""A partial result; what it looks like is the operation's own business."""


class Operation(Protocol):
    """One function with its parameters. Holds no user's data."""

    kind: str
    """Which values it takes; see `udfs.aggregation.kinds`."""

    key: str
    """Names the partial result: operations of equal keys share it, as sum and average do."""

    invertible: bool
    """Whether `delete` undoes `merge`."""

    bounded: bool
    """Whether a partial result is small beside 64 items, so that tiles keep it."""

    ordered: bool
    """Whether the order of the items matters."""

    side: str | None
    """``newest`` or ``oldest`` if the items at that end are enough, see `enough`."""

    nothing: Any
    """The value of no events; readers do not change it."""

    def fold(self, items: Sequence[Any]) -> Partial:
        """Give the partial result of items.

        Args:
            items: At least one, in order.
        """

    def update(self, partial: Partial, item: Any) -> Partial:
        """Give the partial result with one item more. HOT.

        Args:
            partial: May be changed: it is the caller's own.
            item: The item; the latest, where `ordered`.
        """

    def merge(self, first: Partial, second: Partial) -> Partial:
        """Give the partial result of two stretches, the second later than the first."""

    def combine(self, partials: Sequence[Partial]) -> Partial:
        """Merge neighbours, at least one."""

    def delete(self, whole: Partial, part: Partial) -> Partial:
        """Give the partial result of `whole` without `part`, where `invertible`."""

    def finalize(self, partial: Partial) -> Any:
        """Give the value."""

    def direct(self, items: Sequence[Any]) -> Any:
        """Give the value of items: ``finalize(fold(items))``, by a shorter way if there is one."""

    def enough(self, items: Sequence[Any]) -> bool:
        """Tell whether more items beyond these, away from `side`, would change nothing."""

    def keep(self, times: list[int], items: list[Any]) -> None:
        """Drop from the two lists what no later reading needs, where `ordered`.

        Args:
            times: Times of the items, rising.
            items: The items; the same places are dropped from both.
        """


class Algebra:
    """What most operations have in common."""

    kind = "number"
    invertible = False
    bounded = True
    ordered = False
    side: str | None = None
    nothing: Any = None
    key: str

    def fold(self, items: Sequence[Any]) -> Partial:
        """Fold."""
        raise NotImplementedError

    def finalize(self, partial: Partial) -> Any:
        """Finalize; the partial result is the value."""
        return partial

    def merge(self, first: Partial, second: Partial) -> Partial:
        """Merge."""
        raise NotImplementedError

    def update(self, partial: Partial, item: Any) -> Partial:
        """Update, as a merge with a stretch of one."""
        return self.merge(partial, self.fold((item,)))

    def combine(self, partials: Sequence[Partial]) -> Partial:
        """Merge one after the other."""
        return reduce(self.merge, partials)

    def delete(self, whole: Partial, part: Partial) -> Partial:
        """Refuse: cannot be taken back."""
        raise NotImplementedError(f"{self.__class__.__name__} is not invertible")

    def direct(self, items: Sequence[Any]) -> Any:
        """Fold and finalize."""
        return self.finalize(self.fold(items))

    def enough(self, items: Sequence[Any]) -> bool:  # noqa: ARG002 - the seam
        """Say no: all items matter."""
        return False

    def keep(self, times: list[int], items: list[Any]) -> None:
        """Keep all."""
