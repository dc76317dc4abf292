"""Raw entries of a stream, packed: times and items of a stretch, in order.

A stretch of entries is one byte for how the times are written, one for the items, then both as
columns. Times are distances from the first, in as few bytes as the longest needs. Items are
integers in as few bytes as they need; doubles that are decimals of few places (prices) are such
integers with a power of ten; other doubles 8 bytes each; all else MessagePack.
"""

from __future__ import annotations

import struct
from math import copysign
from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES: Final = "BHIQ"
_INTEGERS: Final = "bhiq"
_PLACES: Final = (1, 10, 100, 1_000, 10_000)
"""Powers of ten that doubles are tried with."""
_BARE, _DOUBLES, _MIXED = 0, 1, 2
_FIRST_INTEGER: Final = 3
"""Codes from here on: width of an integer + 4 * (0, or of doubles 1 + the power of ten)."""
_INT: Final = frozenset({int})
_FLOAT: Final = frozenset({float})
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list).decode


def pack(times: Sequence[int], items: Sequence[Any]) -> bytes:
    """Pack a stretch.

    Args:
        times: Rising; at least one.
        items: As many, or none at all.

    Returns:
        The bytes; `unpack` gives the same back, the times as distances from the first.
    """
    first = times[0]
    distances = [time - first for time in times]
    width = _width(distances[-1])
    code, column = _column(items)
    packed = struct.pack(f"<{len(times)}{_TIMES[width]}", *distances)
    return bytes((width, code)) + packed + column


def unpack(packed: bytes, count: int, first: int) -> tuple[list[int], list[Any]]:
    """Unpack a stretch.

    Args:
        packed: What `pack` gave.
        count: How many entries.
        first: Time of the first.

    Returns:
        Times and items.

    Raises:
        StateIncompatible: The bytes are not what `pack` gave.
    """
    try:
        width, code = packed[0], packed[1]
        layout = f"<{count}{_TIMES[width]}"
        end = 2 + struct.calcsize(layout)
        times = [first + distance for distance in struct.unpack(layout, packed[2:end])]
        return times, _items(packed[end:], code, count)
    except (IndexError, struct.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateIncompatible(
            f"raw values of an aggregate are damaged ({error}): restore another checkpoint"
        ) from error


def _width(longest: int) -> int:
    return 0 if longest < 1 << 8 else 1 if longest < 1 << 16 else 2 if longest < 1 << 32 else 3


def _column(items: Sequence[Any]) -> tuple[int, bytes]:
    if not items:
        return _BARE, b""
    kinds = frozenset(map(type, items))
    if kinds == _INT:
        return _integers(items, 0)
    if kinds == _FLOAT:
        if not any(item == 0.0 and copysign(1.0, item) < 0.0 for item in items):
            for power, places in enumerate(_PLACES, 1):
                if all([abs(item) < 1e11 for item in items]):  # noqa: PLR2004, C419 - faster
                    whole = [round(item * places) for item in items]
                    if all(
                        [one / places == item for one, item in zip(whole, items, strict=True)]  # noqa: C419 - faster
                    ):
                        return _integers(whole, power)
        return _DOUBLES, struct.pack(f"<{len(items)}d", *items)
    return _MIXED, _encode(items)


def _integers(items: Sequence[int], power: int) -> tuple[int, bytes]:
    bits = max(max(items).bit_length(), (~min(items)).bit_length() if min(items) < 0 else 0)
    width = 0 if bits < 8 else 1 if bits < 16 else 2 if bits < 32 else 3  # noqa: PLR2004 - bits
    if width == 3 and power:  # noqa: PLR2004 - 8 bytes are no gain
        return _DOUBLES, struct.pack(
            f"<{len(items)}d", *[one / _PLACES[power - 1] for one in items]
        )
    code = _FIRST_INTEGER + width + 4 * power
    return code, struct.pack(f"<{len(items)}{_INTEGERS[width]}", *items)


def _items(column: bytes, code: int, count: int) -> list[Any]:
    if code == _BARE:
        return []
    if code == _DOUBLES:
        return list(struct.unpack(f"<{count}d", column))
    if code == _MIXED:
        return _decode(column)
    power, width = divmod(code - _FIRST_INTEGER, 4)
    whole = struct.unpack(f"<{count}{_INTEGERS[width]}", column)
    if not power:
        return list(whole)
    places = _PLACES[power - 1]
    return [one / places for one in whole]
