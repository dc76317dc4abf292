"""Different values: ``unique_count``, ``unique_k``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udfs.aggregation.kinds import identity
from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence


class UniqueCount(Algebra):
    """``unique_count``. Items are hashes of values, 63 bits; partial result: hash -> 1.

    Two of 10,000 values have one hash in 1 of 200 billion cases.

    Args:
        most: Beyond so many, further values are not told apart; the count stays there.
    """

    kind = "hash"
    bounded = False
    nothing = 0

    def __init__(self, most: int) -> None:
        self.key = f"unique_{most}"
        self._most = most
        self.beyond = 0
        """Values that were passed over because there were too many different ones."""

    def fold(self, items: Sequence[int]) -> dict[int, int]:
        """Tell apart."""
        return self._bounded(dict.fromkeys(items, 1))

    def update(self, partial: dict[int, int], item: int) -> dict[int, int]:
        """Take one in."""
        if item not in partial:
            if len(partial) >= self._most:
                self.beyond += 1
            else:
                partial[item] = 1
        return partial

    def merge(self, first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
        """Unite."""
        return self._bounded(first | second)

    def finalize(self, partial: dict[int, int]) -> int:
        """Count."""
        return len(partial)

    def direct(self, items: Sequence[int]) -> int:
        """Count without a partial result."""
        return min(len(set(items)), self._most)

    def _bounded(self, found: dict[int, int]) -> dict[int, int]:
        if len(found) <= self._most:
            return found
        self.beyond += len(found) - self._most
        return dict(list(found.items())[: self._most])


class UniqueK(Algebra):
    """``unique_k``: the k different values seen last, the oldest last-seen first.

    Partial result: that list.

    Args:
        k: How many.
    """

    kind = "any"
    ordered = True
    side: str | None = "newest"
    nothing: Any = []  # noqa: RUF012 - never changed

    def __init__(self, k: int) -> None:
        self.key = f"unique_last_{k}"
        self._k = k

    def fold(self, items: Sequence[Any]) -> list[Any]:
        """Go back from the newest until there are enough."""
        return [items[place] for place in self._places(items)]

    def merge(self, first: list[Any], second: list[Any]) -> list[Any]:
        """Go back through both."""
        return self.fold([*first, *second])

    def enough(self, items: Sequence[Any]) -> bool:
        """Tell whether there are k different ones."""
        return len(self._places(items)) == self._k

    def keep(self, times: list[int], items: list[Any]) -> None:
        """Drop what was seen again later, and what lies beyond k."""
        places = self._places(items)
        times[:] = [times[place] for place in places]
        items[:] = [items[place] for place in places]

    def _places(self, items: Sequence[Any]) -> list[int]:
        seen: set[Any] = set()
        places = []
        for place in range(len(items) - 1, -1, -1):
            name = identity(items[place])
            if name not in seen:
                seen.add(name)
                places.append(place)
                if len(places) == self._k:
                    break
        return places[::-1]
