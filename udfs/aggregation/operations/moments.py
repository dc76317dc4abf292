"""Population moments: ``variance``, ``stddev``, ``skew``, ``kurtosis``.

Partial result: the exact sums of the powers of the values. Moments from rounded sums of powers
cancel out to nothing when the mean is large beside the spread; from exact sums they are right to
the last digit, and tiles can be merged and deleted at will.
"""

from __future__ import annotations

import math
from operator import mul
from typing import TYPE_CHECKING, Any, TypeAlias

from udfs.aggregation.exact_sum import from_state, to_state
from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence

Powers: TypeAlias = list[Any]
"""``[count, scale, s1, s2 …]``: ``s_n / 2**(n * scale)`` is the exact sum of the n-th powers."""

_INT = frozenset({int})


class Moments(Algebra):
    """Sums of powers up to an order.

    Args:
        order: 2 or 4.
    """

    invertible = True

    def __init__(self, order: int) -> None:
        self.key = f"powers_{order}"
        self._order = order

    def fold(self, items: Sequence[float]) -> Powers:
        """Add up powers."""
        scale, values = _scaled(items)
        sums = [sum(values)]
        squares = list(map(mul, values, values))
        sums.append(sum(squares))
        if self._order > 2:  # noqa: PLR2004 - squares are there
            sums.append(sum(map(mul, squares, values)))
            sums.append(sum(map(mul, squares, squares)))
        return [len(items), scale, *map(to_state, sums)]

    def merge(self, first: Powers, second: Powers) -> Powers:
        """Add."""
        return _together(first, second, 1)

    def delete(self, whole: Powers, part: Powers) -> Powers:
        """Subtract."""
        return _together(whole, part, -1)


class Variance(Moments):
    """``variance``: the mean square of the distance from the mean."""

    def __init__(self) -> None:
        super().__init__(2)

    def finalize(self, partial: Powers) -> float | None:
        """Divide exactly, round once."""
        count, scale, *sums = partial
        return None if count == 0 else _ratio(_second(count, sums), count * count << 2 * scale)


class StdDev(Moments):
    """``stddev``: the root of the variance."""

    def __init__(self) -> None:
        super().__init__(2)

    def finalize(self, partial: Powers) -> float | None:
        """Take the root of the exact quotient."""
        count, scale, *sums = partial
        return None if count == 0 else _root(_second(count, sums), count * count << 2 * scale)


class Skew(Moments):
    """``skew``: m3 / m2^1.5; null of equal values. Source: scipy.stats.skew, defaults."""

    def __init__(self) -> None:
        super().__init__(4)

    def finalize(self, partial: Powers) -> float | None:
        """Divide exactly: scale and count cancel out."""
        count, _, *packed = partial
        if count == 0:
            return None
        s1, s2, s3, _ = map(from_state, packed)
        second = count * s2 - s1 * s1
        if second == 0:
            return None
        third = count * count * s3 - 3 * count * s1 * s2 + 2 * s1**3
        root = _root(third * third, second**3)
        return -root if third < 0 else root


class Kurtosis(Moments):
    """``kurtosis``: m4 / m2² - 3; null of equal values. Source: scipy.stats.kurtosis, defaults."""

    def __init__(self) -> None:
        super().__init__(4)

    def finalize(self, partial: Powers) -> float | None:
        """Divide exactly: scale and count cancel out."""
        count, _, *packed = partial
        if count == 0:
            return None
        s1, s2, s3, s4 = map(from_state, packed)
        second = (count * s2 - s1 * s1) ** 2
        if second == 0:
            return None
        fourth = count**3 * s4 - 4 * count**2 * s1 * s3 + 6 * count * s1 * s1 * s2 - 3 * s1**4
        return _ratio(fourth - 3 * second, second)


def _scaled(items: Sequence[float]) -> tuple[int, list[int]]:
    """Write numbers as integers over one power of two."""
    if frozenset(map(type, items)) == _INT:
        return 0, items  # type: ignore[return-value]
    ratios = [item.as_integer_ratio() for item in items]
    scale = max(denominator for _, denominator in ratios).bit_length() - 1
    unit = 1 << scale
    return scale, [numerator * (unit // denominator) for numerator, denominator in ratios]


def _second(count: int, packed: Sequence[Any]) -> int:
    s1, s2 = map(from_state, packed[:2])
    return count * s2 - s1 * s1


def _ratio(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator  # correctly rounded
    except OverflowError:
        return math.inf


def _root(numerator: int, denominator: int) -> float:
    """Give the root of a quotient that may lie beyond the doubles while its root does not."""
    bits = numerator.bit_length() - denominator.bit_length()
    shift = bits // 2
    if shift > 0:
        denominator <<= 2 * shift
    else:
        numerator <<= -2 * shift
    try:
        return math.ldexp(math.sqrt(numerator / denominator), shift)
    except OverflowError:
        return math.inf


def _together(first: Powers, second: Powers, sign: int) -> Powers:
    count, scale, *sums = first
    count_2, scale_2, *sums_2 = second
    most = max(scale, scale_2)
    together = [
        to_state(
            (from_state(one) << (most - scale) * power)
            + sign * (from_state(two) << (most - scale_2) * power)
        )
        for power, (one, two) in enumerate(zip(sums, sums_2, strict=True), 1)
    ]
    return [count + sign * count_2, most, *together]
