"""Sum of numbers: exact while it is one of integers, rounded once if doubles are among them."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation.exact_sum import (
    INT64_MAX,
    INT64_MIN,
    add,
    as_double,
    from_state,
    to_state,
)
from udfs.aggregation.tails import TRIM_FROM_ENTRIES, slack_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.aggregation.section import Sections

_STAMP: Final = struct.Struct("<q")
_INT: Final = struct.Struct("<qq")
_DOUBLE: Final = struct.Struct("<qd")
_pack_int = _INT.pack
_pack_double = _DOUBLE.pack
_stamp: Final = _STAMP.unpack_from
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

    State: a tail of 16 bytes an entry: the stamp, which is the time ``t`` of an integer and
    ``-t - 1`` of a double; then the value in 64 bits. The kinds are told apart because a sum
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
        packed = _pack_double(~time, value) if type(value) is float else _pack_int(time, value)
        tail = sections.get(self.key)
        if type(tail) is not bytearray:  # as decoded, or None
            tail = sections[self.key] = bytearray(tail or b"")
        if len(tail) >= _TRIM_FROM and _time(_stamp(tail)[0]) <= floor - self._slack_ms:
            entries = _INT.iter_unpack(tail)
            tail[:] = b"".join([_pack_int(*entry) for entry in entries if _time(entry[0]) > floor])
        tail += packed

    def read(self, sections: Sections, at: int) -> int | float:
        """Add up what lies inside the window. HOT."""
        tail = sections.get(self.key)
        if not tail:
            return 0
        floor = at - self._window_ms
        words = len(tail) // _STAMP.size
        as_ints = struct.unpack(f"<{words}q", tail)
        stamps, latest = as_ints[::2], max(as_ints[::2])
        total = 0
        inside: Sequence[float] = ()
        if latest >= 0:
            after = max(-1, floor)
            values = as_ints[1::2]
            total = sum([v for s, v in zip(stamps, values, strict=False) if s > after])
        if min(stamps) < 0:
            before = min(0, ~floor)
            inside = struct.unpack(f"<{words}d", tail)[1::2]
            if latest >= before:
                inside = [v for s, v in zip(stamps, inside, strict=False) if s < before]
        return _rounded(total, inside) if inside else self._integer(total)


def _time(stamp: int) -> int:
    return stamp if stamp >= 0 else ~stamp


def _rounded(integers: int, doubles: Sequence[float]) -> float:
    if integers == 0:
        try:
            return math.fsum(doubles)
        except OverflowError:
            pass  # of an intermediate sum; the whole may still fit
    mantissa, scale = integers, 0
    for value in doubles:
        mantissa, scale = add(mantissa, scale, value)
    return as_double(mantissa, scale)
