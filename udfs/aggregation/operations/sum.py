"""Sum of numbers: of integers an integer; of doubles the double nearest to the exact sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from udfs.aggregation.exact_sum import (
    INT64_MAX,
    INT64_MIN,
    add,
    as_double,
    from_state,
    to_state,
)
from udfs.aggregation.operations.operation import Algebra

if TYPE_CHECKING:
    from collections.abc import Sequence

Total: TypeAlias = list[Any]
"""``[count, mantissa, scale, doubles]``: the exact sum is ``mantissa / 2**scale``; `doubles`
counts the items that were no integers."""

UNKNOWN: Final = -(2**53)
"""Stands for a count that nobody took: the sum is right, an average is null."""

_INT = frozenset({int})
_FLOAT = frozenset({float})


class Totals(Algebra):
    """What sum and average share: an exact total, so that nothing depends on the order."""

    key = "total"
    invertible = True

    def fold(self, items: Sequence[float]) -> Total:
        """Add up."""
        kinds = frozenset(map(type, items))
        if kinds == _INT:
            return [len(items), to_state(sum(items)), 0, 0]  # type: ignore[arg-type]
        integers = sum([item for item in items if type(item) is int])
        doubles = [item for item in items if type(item) is float]
        mantissa, scale = _exact(doubles)
        return [len(items), to_state(mantissa + (integers << scale)), scale, len(doubles)]

    def update(self, partial: Total, item: float) -> Total:
        """Add one."""
        count, packed, scale, doubles = partial
        if type(item) is int:
            mantissa = from_state(packed) + (item << scale)
        else:
            mantissa, scale = add(from_state(packed), scale, item)
            doubles += 1
        return [count + 1, to_state(mantissa), scale, doubles]

    def merge(self, first: Total, second: Total) -> Total:
        """Add."""
        return _together(first, second, 1)

    def delete(self, whole: Total, part: Total) -> Total:
        """Subtract."""
        return _together(whole, part, -1)


class Sum(Totals):
    """``sum``."""

    nothing = 0

    def __init__(self) -> None:
        self.beyond_int64 = 0
        """Readings of a sum of integers that 64 bits did not hold."""

    def finalize(self, partial: Total) -> int | float:
        """Round, once."""
        count, packed, scale, doubles = partial
        if count == 0:
            return 0
        mantissa = from_state(packed)
        return as_double(mantissa, scale) if doubles else self._integer(mantissa)

    def direct(self, items: Sequence[float]) -> int | float:
        """Add up without a partial result."""
        kinds = frozenset(map(type, items))
        if kinds == _INT:
            return self._integer(sum(items))  # type: ignore[arg-type]
        if kinds == _FLOAT:
            try:
                return math.fsum(items)
            except OverflowError:
                pass  # of an intermediate sum; the whole may still fit
        return self.finalize(self.fold(items))

    def _integer(self, total: int) -> int | float:
        if INT64_MIN <= total <= INT64_MAX:
            return total
        self.beyond_int64 += 1
        return float(total)


class Average(Totals):
    """``avg``: always a double."""

    def finalize(self, partial: Total) -> float | None:
        """Divide, and round once."""
        count, packed, scale, _ = partial
        if count <= 0:
            return None
        try:
            mean: float = from_state(packed) / (count << scale)  # correctly rounded
        except OverflowError:  # pragma: no cover - the average of doubles is a double
            raise AssertionError("an average beyond its values") from None
        return mean

    def direct(self, items: Sequence[float]) -> float | None:
        """Divide without a partial result, where one rounding of the sum is all that is lost."""
        try:
            return math.fsum(items) / len(items)
        except OverflowError:
            return self.finalize(self.fold(items))


def _exact(doubles: Sequence[float]) -> tuple[int, int]:
    """Add up without loss: what `fsum` rounds away is taken up again until nothing is left."""
    mantissa = scale = 0
    try:
        rest = math.fsum(doubles)
        gone = []
        while rest:
            mantissa, scale = add(mantissa, scale, rest)
            gone.append(-rest)
            rest = math.fsum([*doubles, *gone])
    except OverflowError:
        mantissa = scale = 0
        for one in doubles:
            mantissa, scale = add(mantissa, scale, one)
    return mantissa, scale


def _together(first: Total, second: Total, sign: int) -> Total:
    count, packed, scale, doubles = first
    count_2, packed_2, scale_2, doubles_2 = second
    mantissa, other = from_state(packed), from_state(packed_2)
    if scale < scale_2:
        mantissa, scale = mantissa << (scale_2 - scale), scale_2
    elif scale_2 < scale:
        other <<= scale - scale_2
    return [
        count + sign * count_2,
        to_state(mantissa + sign * other),
        scale,
        doubles + sign * doubles_2,
    ]
