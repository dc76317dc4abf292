"""Smallest and largest value, and the k of them: ``min``, ``max``, ``bottom_k``, ``top_k``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW = 4
"""So many values are little beside the 64 of a tile."""


def rank(item: Any) -> tuple[bool, Any]:
    """Order numbers by value, texts by code point, numbers before texts."""
    return type(item) is str, item


class Min(Algebra):
    """``min``. Partial result: the value. Of equal values (1 and 1.0) the first."""

    kind = "ranked"
    key = "min"

    def fold(self, items: Sequence[Any]) -> Any:
        """Look for the smallest."""
        try:
            return min(items)
        except TypeError:
            return min(items, key=rank)

    direct = fold

    def merge(self, first: Any, second: Any) -> Any:
        """Take the smaller."""
        return self.fold((first, second))

    def update(self, partial: Any, item: Any) -> Any:
        """Take the smaller."""
        return self.fold((partial, item))


class Max(Algebra):
    """``max``. Partial result: the value. Of equal values (1 and 1.0) the first."""

    kind = "ranked"
    key = "max"

    def fold(self, items: Sequence[Any]) -> Any:
        """Look for the largest."""
        try:
            return max(items)
        except TypeError:
            return max(items, key=rank)

    direct = fold

    def merge(self, first: Any, second: Any) -> Any:
        """Take the larger."""
        return self.fold((first, second))

    def update(self, partial: Any, item: Any) -> Any:
        """Take the larger."""
        return self.fold((partial, item))


class Ranked(Algebra):
    """``top_k`` (falling) and ``bottom_k`` (rising). Partial result: the list.

    Equal values keep their order.

    Args:
        k: How many.
        falling: The largest, not the smallest.
    """

    kind = "ranked"
    nothing: Any = []  # noqa: RUF012 - never changed

    def __init__(self, k: int, *, falling: bool) -> None:
        self.key = f"{'top' if falling else 'bottom'}_{k}"
        self.bounded = k <= _FEW
        self._k = k
        self._falling = falling

    def fold(self, items: Sequence[Any]) -> list[Any]:
        """Sort and cut."""
        try:
            found = sorted(items, reverse=self._falling)
        except TypeError:
            found = sorted(items, key=rank, reverse=self._falling)
        return found[: self._k]

    def merge(self, first: list[Any], second: list[Any]) -> list[Any]:
        """Sort both together."""
        return self.fold([*first, *second])

    def update(self, partial: list[Any], item: Any) -> list[Any]:
        """Sort one in."""
        return self.fold([*partial, item])
