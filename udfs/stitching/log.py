"""The kept events of a user as bytes that are only ever appended to.

One MessagePack array an event, ``[mask, elapsed, event_id, changed …]``: ``elapsed`` is the time
since the event that stands before it, milliseconds, negative if it came out of order. Bit i of
``mask`` is set where field i of `FIELDS` (without ``event_id``) differs from the event before;
``changed`` holds those fields. A run of events that are not kept is
``[-1, elapsed, length, count, page_instance]``; ``elapsed`` leads to its first event, and the
event behind it counts from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final, TypeAlias

import msgspec

from udfs.stitching.rows import FIELDS, Item, More, Row

Texts: TypeAlias = tuple[Any, ...]
"""The fields of a row behind ``event_id``."""

_WIDTH: Final = len(FIELDS) - 1
NOTHING: Final[Texts] = (None,) * _WIDTH
_BITS: Final = tuple(1 << i for i in range(_WIDTH))
_TYPE: Final = _BITS[0]
_ELEMENT: Final = _BITS[-1]
_MORE: Final = -1
_HEAD: Final = Struct(">BI")
_ARRAY: Final = 0xDD
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[list[Any]]).decode


def packed(row: Row, time: int, before: Sequence[Any]) -> bytes:
    """Give the bytes of an event. HOT.

    Args:
        row: It.
        time: Of the entry that stands before it.
        before: Fields of the event that stands before it.
    """
    entry: list[Any] = [0, row[0] - time, row[1]]
    mask = 0
    if row[3:10] == before[1:8]:  # most events: another type or element, the rest as before
        if row[2] != before[0]:
            mask = _TYPE
            entry.append(row[2])
        if row[10] != before[8]:
            mask |= _ELEMENT
            entry.append(row[10])
        entry[0] = mask
        return _pack(entry)
    for text, old, bit in zip(row[2:], before, _BITS, strict=True):
        if text != old:
            mask |= bit
            entry.append(text)
    entry[0] = mask
    return _pack(entry)


def packed_more(more: More, time: int) -> bytes:
    """Give the bytes of a run of events that are not kept; arguments as in `packed`."""
    return _pack((_MORE, more.time - time, more.until - more.time, more.number, more.instance))


def unpacked(log: bytes | bytearray, count: int) -> list[Item]:
    """Read a log.

    Args:
        log: Entries, one after the other.
        count: How many.

    Returns:
        The items in order of arrival.

    Raises:
        msgspec.DecodeError: These bytes are no log.
    """
    items: list[Item] = []
    time = 0
    texts: list[Any] = list(NOTHING)
    for entry in _unpack(_HEAD.pack(_ARRAY, count) + log):
        mask = entry[0]
        time += entry[1]
        if mask == _MORE:
            items.append(More(time, time + entry[2], entry[3], entry[4]))
            continue
        at = 3
        for i, bit in enumerate(_BITS):
            if mask & bit:
                texts[i] = entry[at]
                at += 1
        items.append((time, entry[2], *texts))
    return items
