"""Sum of numbers: exact while it is one of integers, rounded once if doubles are among them."""

from __future__ import annotations

import math
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation.exact_sum import (
    INT64_MAX,
    INT64_MIN,
    add,
    as_double,
    from_state,
    to_state,
)
from udfs.aggregation.tails import TRIM_FROM_ENTRIES, slack_ms, trimmed

if TYPE_CHECKING:
    from udfs.aggregation.section import Sections

_INT: Final = Struct("<Qq")
_DOUBLE: Final = Struct("<Qd")
_pack_int = _INT.pack
_pack_double = _DOUBLE.pack
_stamp: Final = Struct("<Q").unpack_from
_TRIM_FROM: Final = TRIM_FROM_ENTRIES * _INT.size


class _Sum:
    __slots__ = ("beyond_int64", "key", "skipped")

    def __init__(self, key: int) -> None:
        self.key = key
        self.skipped = 0
        self.beyond_int64 = 0
        """Sums of integers that were read as a double because 64 bits did not hold them."""

    def _takes(self, value: Any) -> bool:
        """Tell a number that 64 bits hold from the rest, which is counted."""
        kind = type(value)
        if kind is float or (kind is int and INT64_MIN <= value <= INT64_MAX):
            return True
        self.skipped += 1
        return False

    def _integer(self, total: int) -> int | float:
        if INT64_MIN <= total <= INT64_MAX:
            return total
        self.beyond_int64 += 1
        return float(total)


class LifetimeSum(_Sum):
    """All events. State: ``[mantissa, scale, whether a double was among them]``."""

    __slots__ = ()

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:  # noqa: ARG002 - the seam
        """Add."""
        if not self._takes(value):
            return
        packed, scale, doubles = sections.get(self.key) or (0, 0, False)
        mantissa, scale = add(from_state(packed), scale, value)
        sections[self.key] = [to_state(mantissa), scale, doubles or type(value) is float]

    def read(self, sections: Sections, at: int) -> int | float:  # noqa: ARG002 - the seam
        """Round."""
        packed, scale, doubles = sections.get(self.key) or (0, 0, False)
        mantissa = from_state(packed)
        return as_double(mantissa, scale) if doubles else self._integer(mantissa)


class SlidingSum(_Sum):
    """Events of the last ``window_ms``.

    State: a tail of 16 bytes an entry: twice the time, plus one if the value is a double;
    then the value, an integer or a double of 64 bits. The kinds are told apart because a sum
    of integers alone has to stay exact beyond what a double holds.
    """

    __slots__ = ("_slack_ms", "_window_ms")

    def __init__(self, key: int, window_ms: int) -> None:
        super().__init__(key)
        self._window_ms = window_ms
        self._slack_ms = slack_ms(window_ms)

    def update(self, sections: Sections, time: int, newest: int, value: Any) -> None:
        """Append time and value, unless no reading will ever see them."""
        if not self._takes(value):
            return
        floor = newest - self._window_ms
        if time <= floor:
            return
        packed = (
            _pack_double(time << 1 | 1, value)
            if type(value) is float
            else _pack_int(time << 1, value)
        )
        tail = sections.get(self.key)
        if tail is None:
            sections[self.key] = packed
            return
        if len(tail) >= _TRIM_FROM and _stamp(tail)[0] >> 1 <= floor - self._slack_ms:
            tail = trimmed(tail, _INT, floor << 1 | 1)
        sections[self.key] = tail + packed

    def read(self, sections: Sections, at: int) -> int | float:
        """Add up what lies inside the window."""
        tail = sections.get(self.key)
        if tail is None:
            return 0
        floor = (at - self._window_ms) << 1 | 1
        integers = sum(
            [v for stamp, v in _INT.iter_unpack(tail) if stamp > floor and not stamp & 1]
        )
        doubles = [v for stamp, v in _DOUBLE.iter_unpack(tail) if stamp > floor and stamp & 1]
        return _rounded(integers, doubles) if doubles else self._integer(integers)


def _rounded(integers: int, doubles: list[float]) -> float:
    if integers == 0:
        try:
            return math.fsum(doubles)
        except OverflowError:
            pass  # of an intermediate sum; the whole may still fit
    mantissa, scale = integers, 0
    for value in doubles:
        mantissa, scale = add(mantissa, scale, value)
    return as_double(mantissa, scale)
