"""Quantiles in bounded memory: ``approx_percentile``.

Source: Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams" (2016). Levels of
items: one of level i stands for ``2**i``. A full level is sorted and every second of its items
goes one level up; whether the odd or the even ones is decided by a coin. datasketches' KLL tosses
it with the clock; here it is a hash of what was compacted before, because the same log has to
give the same answers.
"""

from __future__ import annotations

from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence

Levels: TypeAlias = list[Any]
"""``[compactions, level 0, level 1 …]``, each level a list of items."""

_CAPACITY: Final = 256
"""Of the top level. Rank error at most 1.1 % in 99 of 100 cases; some 7 kB."""
_SHRINK: Final = 2 / 3
"""Capacity of a level, as a part of that above it."""
_LEAST: Final = 8
_ODD: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1


class ApproxPercentile(Algebra):
    """``approx_percentile``: a list, one value per share.

    The value of q is the smallest item that at least the share q of the items does not exceed.

    Args:
        q: Shares from 0 to 1.
    """

    key = "kll"
    bounded = False

    def __init__(self, q: Sequence[float]) -> None:
        self._q = tuple(q)

    def fold(self, items: Sequence[float]) -> Levels:
        """Take in."""
        return _compacted([0, list(items)])

    def update(self, partial: Levels, item: float) -> Levels:
        """Put one into the lowest level."""
        partial[1].append(item)
        return _compacted(partial) if len(partial[1]) >= _LEAST else partial

    def merge(self, first: Levels, second: Levels) -> Levels:
        """Join level by level."""
        levels = [[*level] for level in first[1:]]
        for place, level in enumerate(second[1:]):
            if place < len(levels):
                levels[place].extend(level)
            else:
                levels.append([*level])
        return _compacted([first[0] + second[0], *levels])

    def finalize(self, partial: Levels) -> list[float] | None:
        """Sort all levels together, each item with its weight."""
        weighted = sorted(
            (item, 1 << place) for place, level in enumerate(partial[1:]) for item in level
        )
        if not weighted:
            return None
        ranks = list(accumulate(weight for _, weight in weighted))
        return [weighted[_place(ranks, q * ranks[-1])][0] for q in self._q]

    def direct(self, items: Sequence[float]) -> list[float] | None:
        """Sort: all values are at hand."""
        ranked = sorted(items)
        return [ranked[max(0, ceil(q * len(ranked)) - 1)] for q in self._q] if ranked else None


def _compacted(partial: Levels) -> Levels:
    """Push items up, from the bottom, until no level is over its capacity."""
    place = 1
    while place < len(partial):
        level = partial[place]
        top = len(partial) - 1
        if len(level) > max(_LEAST, ceil(_CAPACITY * _SHRINK ** (top - place))):
            if place == top:
                partial.append([])
            compactions = partial[0] = partial[0] + 1
            level.sort()
            rest = [level.pop()] if len(level) % 2 else []
            coin = (compactions * _ODD & _MASK) >> 63
            partial[place + 1].extend(level[coin::2])
            partial[place] = rest
            place = 0 if place == top else place  # a new top lowers what is below it
        place += 1
    return partial


def _place(ranks: Sequence[int], rank: float) -> int:
    low, high = 0, len(ranks) - 1
    while low < high:
        middle = (low + high) // 2
        if ranks[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    return low
