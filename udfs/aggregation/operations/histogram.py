"""How often each value occurs: ``histogram``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence


class Histogram(Algebra):
    """``histogram``. Partial result: text of the value -> how often.

    Args:
        k: Only the most frequent; of equally frequent ones those with the smaller text. None: all.
        most: Beyond so many, further values are not taken up.
    """

    kind = "text"
    bounded = False
    invertible = True
    nothing: Any = {}  # noqa: RUF012 - never changed

    def __init__(self, k: int | None, most: int) -> None:
        self.key = f"histogram_{most}"
        self._k = k
        self._most = most
        self.beyond = 0
        """Values that were passed over because there were too many different ones."""

    def fold(self, items: Sequence[str]) -> dict[str, int]:
        """Count each."""
        return self._bounded(dict(Counter(items)))

    def update(self, partial: dict[str, int], item: str) -> dict[str, int]:
        """Count one."""
        if item in partial:
            partial[item] += 1
        elif len(partial) >= self._most:
            self.beyond += 1
        else:
            partial[item] = 1
        return partial

    def merge(self, first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
        """Add."""
        found = dict(first)
        for text, count in second.items():
            found[text] = found.get(text, 0) + count
        return self._bounded(found)

    def delete(self, whole: dict[str, int], part: dict[str, int]) -> dict[str, int]:
        """Subtract."""
        found = dict(whole)
        for text, count in part.items():
            left = found.get(text, 0) - count
            if left > 0:
                found[text] = left
            else:
                found.pop(text, None)
        return found

    def finalize(self, partial: dict[str, int]) -> dict[str, int]:
        """Order by frequency if only some are wanted."""
        if self._k is None:
            return dict(partial)
        ranked = sorted(partial.items(), key=lambda one: (-one[1], one[0]))
        return dict(ranked[: self._k])

    def _bounded(self, found: dict[str, int]) -> dict[str, int]:
        if len(found) <= self._most:
            return found
        self.beyond += len(found) - self._most
        return dict(list(found.items())[: self._most])
