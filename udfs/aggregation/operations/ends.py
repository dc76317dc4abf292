"""The values at either end: ``first``, ``last``, ``first_k``, ``last_k``, ``sequence``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence


class Ends(Algebra):
    """The k values at one end, oldest first. Partial result: the list.

    Args:
        k: How many.
        newest: The last ones, not the first ones.
        single: The value itself, not a list of one.
    """

    kind = "any"
    ordered = True

    def __init__(self, k: int, *, newest: bool, single: bool = False) -> None:
        self.key = f"{'last' if newest else 'first'}_{k}"
        self.nothing = None if single else []
        self.side = "newest" if newest else "oldest"
        self.newest = newest
        self.k = k
        self._single = single

    def fold(self, items: Sequence[Any]) -> list[Any]:
        """Cut."""
        return list(items[-self.k :] if self.newest else items[: self.k])

    def merge(self, first: list[Any], second: list[Any]) -> list[Any]:
        """Join and cut."""
        return self.fold(first + second)

    def finalize(self, partial: list[Any]) -> Any:
        """Give the list, or what is in it."""
        return partial[0] if self._single else partial

    def enough(self, items: Sequence[Any]) -> bool:
        """Tell whether there are k."""
        return len(items) >= self.k

    def keep(self, times: list[int], items: list[Any]) -> None:
        """Drop what lies beyond k."""
        if self.newest:
            del times[: -self.k], items[: -self.k]
        else:
            del times[self.k :], items[self.k :]
