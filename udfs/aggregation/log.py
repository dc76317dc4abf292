"""Raw entries of one stream of one user: what sliding windows are exact by.

The newest entries lie open: two strings of bytes to which an event appends. When there are many,
the older half is sealed into a tile: packed, with the partial results of the operations that keep
theirs. Many tiles become a block, which is a tile of tiles. So a window is read from a few partial
results and the entries at its old edge, and what an event touches does not grow with the window.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.aggregation.chunks import pack, unpack
from udfs.aggregation.kinds import taken
from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.aggregation.operations.operation import Operation

OPEN: Final = 128
"""So many open entries are not left open."""
TILE: Final = 64
"""Entries of a tile; late ones make it longer, up to twice that."""
TILES: Final = 64
"""So many tiles are not left beside each other."""
BLOCK: Final = 32
"""Tiles of a block."""
MAX_BLOCKS: Final = 64
"""So many blocks, some 131,000 entries, is the most of one stream of a user; the oldest go."""
NEVER: Final = -(2**62)

BARE, INTEGERS, DOUBLES, MIXED = range(4)
"""How open items are written: not at all, 8 bytes each, 8 bytes each, as MessagePack."""

_LONGEST: Final = 2**32 - 1
"""Between the first and the last open entry, ms."""
_ITEM: Final = {int: INTEGERS, float: DOUBLES}
_ARRAY: Final = {INTEGERS: "q", DOUBLES: "d"}
_time = struct.Struct("<I").pack
_integer = struct.Struct("<q").pack
_double = struct.Struct("<d").pack
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list).decode


class Tile(msgspec.Struct, array_like=True, gc=False):
    """A sealed stretch.

    Args:
        first: Its first time, ms.
        last: Its last time, ms.
        count: Its entries.
        packed: The entries as `chunks.pack` gives them; of a block its tiles.
        partials: Key of an operation -> partial result; None if it takes none of the items.
        is_block: Whether it holds tiles.
    """

    first: int
    last: int
    count: int
    packed: bytes
    partials: dict[str, Any]
    is_block: bool = False


_tiles = msgspec.msgpack.Decoder(list[Tile]).decode
_NO_TILES: Final = msgspec.Raw(b"\x90")


class Log(msgspec.Struct, array_like=True, gc=False):
    """Entries of one stream, ordered by time and arrival.

    Args:
        base: Time of the first open entry, ms.
        last: Time of the last open entry, ms.
        count: Open entries.
        times: Of the open entries: distances from `base`, 4 bytes each, the lowest first.
        code: How `items` is written.
        items: Of the open entries.
        tiles: Sealed entries before the open ones; see `tiles_of`.
        blocks: Sealed entries before the tiles; see `blocks_of`.
        cut: Time, ms, up to which entries went because there were too many.
    """

    base: int
    last: int
    count: int
    times: bytes
    code: int
    items: bytes
    tiles: msgspec.Raw = _NO_TILES
    blocks: msgspec.Raw = _NO_TILES
    cut: int = NEVER

    @property
    def newest(self) -> int:
        """Time of the latest entry, ms; `NEVER` if there is none."""
        if self.count:
            return self.last
        sealed = sealed_of(self)
        return sealed[-1].last if sealed else NEVER


def tiles_of(log: Log) -> list[Tile]:
    """Give the tiles, decoded when they are first looked at: an event touches only what is open."""
    found: Any = log.tiles
    if type(found) is msgspec.Raw:
        found = _decode_tiles(found)
        log.tiles = found  # it is encoded as what it was decoded from
    tiles: list[Tile] = found
    return tiles


def blocks_of(log: Log) -> list[Tile]:
    """Give the blocks, decoded likewise."""
    found: Any = log.blocks
    if type(found) is msgspec.Raw:
        found = _decode_tiles(found)
        log.blocks = found
    blocks: list[Tile] = found
    return blocks


def sealed_of(log: Log) -> list[Tile]:
    """Give the tiles, or the blocks if there is no tile."""
    return tiles_of(log) or blocks_of(log)


def is_open(log: Log) -> bool:
    """Tell whether nothing is sealed. HOT: nothing is decoded, and nothing looked at twice."""
    if log.tiles is _NO_TILES and log.blocks is _NO_TILES:
        return True
    if _any(log.tiles) or _any(log.blocks):
        return False
    log.tiles = log.blocks = _NO_TILES
    return True


def _any(sealed: Any) -> bool:
    """Tell whether there is anything in tiles that may not be decoded yet."""
    return len(memoryview(sealed)) > 1 if type(sealed) is msgspec.Raw else bool(sealed)


def _decode_tiles(raw: Any) -> list[Tile]:
    try:
        return _tiles(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateIncompatible(
            f"sealed values of an aggregate are damaged ({error}): restore another checkpoint"
        ) from error


def new(times: Sequence[int], items: Sequence[Any]) -> Log:
    """Make a log of open entries in order, spanning less than `_LONGEST`.

    Args:
        times: Milliseconds; at least one.
        items: As many, or none at all.
    """
    log = Log(0, 0, 0, b"", BARE, b"")
    _open(log, times, items)
    return log


def filled(times: Sequence[int], items: Sequence[Any], kept: Sequence[Operation]) -> Log:
    """Make a log of any number of entries that are in order.

    Args:
        times: Milliseconds; at least one.
        items: As many, or none at all.
        kept: Operations whose partial results tiles hold.
    """
    log = new(times[:1], items[:1])
    for place in range(1, len(times)):
        item = items[place] if items else None
        if not append(log, times[place], item):
            insert(log, times[place], item, kept, bare=not items)
        if log.count >= OPEN:
            seal(log, kept)
    return log


def append(log: Log, time: int, item: Any) -> bool:
    """Put in the latest entry, if that is what it is, and easily done. HOT.

    Args:
        log: Changed in place.
        time: Milliseconds.
        item: The item; of a bare log anything.

    Returns:
        Whether it was put in; else `insert` has to.
    """
    at = time - log.base
    if time < log.last or at > _LONGEST or not log.count:
        return False
    code = log.code
    if code == DOUBLES and type(item) is float:
        log.items += _double(item)
    elif code == INTEGERS and type(item) is int:
        log.items += _integer(item)
    elif code == MIXED:
        log.items += _encode(item)
    elif code != BARE:
        return False
    log.times += _time(at)
    log.last = time
    log.count += 1
    return True


def times_of(log: Log) -> array[int]:
    """Give the times of the open entries, as distances from `base`."""
    return array("I", log.times)


def items_of(log: Log) -> list[Any]:
    """Give the items of the open entries; none of a bare log."""
    code = log.code
    if code == BARE:
        return []
    if code == MIXED:
        return _decode(b"\xdd" + log.count.to_bytes(4, "big") + log.items)
    return array(_ARRAY[code], log.items).tolist()


def seal(log: Log, kept: Sequence[Operation]) -> int:
    """Seal the older open entries.

    Args:
        log: Changed in place.
        kept: Operations whose partial results tiles hold.

    Returns:
        How many entries were dropped because the log was full.
    """
    times, items = opened(log)
    _open(log, times[TILE:], items[TILE:])
    return _add(log, _tile(times[:TILE], items[:TILE], kept), kept)


def opened(log: Log) -> tuple[list[int], list[Any]]:
    """Give the open entries: times, ms, and items."""
    base = log.base
    return [base + at for at in times_of(log)], items_of(log)


def drop(log: Log, floor: int) -> None:
    """Drop what no window holds any more.

    Args:
        log: Changed in place.
        floor: Time, ms, up to which entries are not needed; tiles that reach beyond it stay whole.
    """
    for name, sealed in (("blocks", blocks_of(log)), ("tiles", tiles_of(log))):
        if sealed and sealed[0].last <= floor:
            setattr(log, name, [tile for tile in sealed if tile.last > floor])
        if sealed and sealed[-1].last > floor:
            return
    if log.count and log.base <= floor:
        times, items = opened(log)
        gone = bisect_right(times, floor)
        _open(log, times[gone:], items[gone:])


def insert(log: Log, time: int, item: Any, kept: Sequence[Operation], *, bare: bool) -> int:
    """Put in an entry that `append` has not, behind those of the same time.

    Args:
        log: Changed in place.
        time: Milliseconds.
        item: The item; ignored in a bare log.
        kept: Operations whose partial results tiles hold.
        bare: Whether the stream has no items.

    Returns:
        How many entries were dropped because the log was full.
    """
    if (log.count and log.base <= time) or is_open(log) or time >= sealed_of(log)[-1].last:
        times, items = opened(log)
        dropped = 0
        if times and max(time, log.last) - min(time, log.base) > _LONGEST:
            dropped = _add(log, _tile(times, items, kept), kept)
            times, items = [], []
            if time < tiles_of(log)[-1].last:
                log.count = 0
                log.times = log.items = b""
                return dropped + insert(log, time, item, kept, bare=bare)
        place = bisect_right(times, time)
        times.insert(place, time)
        if not bare:
            items.insert(place, item)
        _open(log, times, items)
        return dropped
    tiles, blocks = tiles_of(log), blocks_of(log)
    if tiles and (tiles[0].first <= time or not blocks):
        tiles[:] = _inserted(tiles, time, item, kept, bare=bare)
        return 0
    place = _holder(blocks, time)
    blocks[place] = _block(_inserted(inside(blocks[place]), time, item, kept, bare=bare), kept)
    return 0


def inside(block: Tile) -> list[Tile]:
    """Give the tiles of a block."""
    return _decode_tiles(block.packed)


def entries(tile: Tile) -> tuple[list[int], list[Any]]:
    """Give times, ms, and items of a tile; of a bare one no items."""
    return unpack(tile.packed, tile.count, tile.first)


def _open(log: Log, times: Sequence[int], items: Sequence[Any]) -> None:
    """Set the open entries."""
    log.count = len(times)
    if not times:
        log.times = log.items = b""
        return
    base = log.base = times[0]
    log.last = times[-1]
    log.times = array("I", [time - base for time in times]).tobytes()
    kinds = set(map(type, items))
    code = MIXED if len(kinds) > 1 else _ITEM.get(kinds.pop(), MIXED) if kinds else BARE
    log.code = code
    if code == BARE:
        log.items = b""
    elif code == MIXED:
        log.items = b"".join(map(_encode, items))
    else:
        log.items = array(_ARRAY[code], items).tobytes()


def _add(log: Log, tile: Tile, kept: Sequence[Operation]) -> int:
    """Put a tile behind the others."""
    tiles = tiles_of(log)
    tiles.append(tile)
    if len(tiles) < TILES:
        return 0
    blocks = blocks_of(log)
    blocks.append(_block(tiles[:BLOCK], kept))
    del tiles[:BLOCK]
    if len(blocks) <= MAX_BLOCKS:
        return 0
    gone = blocks.pop(0)
    log.cut = max(log.cut, gone.last)
    return gone.count


def _inserted(
    tiles: Sequence[Tile], time: int, item: Any, kept: Sequence[Operation], *, bare: bool
) -> list[Tile]:
    place = _holder(tiles, time)
    times, items = entries(tiles[place])
    inner = bisect_right(times, time)
    times.insert(inner, time)
    if not bare:
        items.insert(inner, item)
    if len(times) <= 2 * TILE:
        changed = [_tile(times, items, kept)]
    else:
        changed = [_tile(times[:TILE], items[:TILE], kept), _tile(times[TILE:], items[TILE:], kept)]
    return [*tiles[:place], *changed, *tiles[place + 1 :]]


def _holder(tiles: Sequence[Tile], time: int) -> int:
    """Give the place of the last tile that begins at or before a time, else of the first."""
    return max(0, bisect_right(tiles, time, key=lambda tile: tile.first) - 1)


def _tile(times: Sequence[int], items: Sequence[Any], kept: Sequence[Operation]) -> Tile:
    found = items or times
    partials = {}
    for one in kept:
        own = taken(one.kind, found)
        partials[one.key] = one.fold(own) if own else None
    return Tile(times[0], times[-1], len(times), pack(times, items), partials)


def _block(tiles: Sequence[Tile], kept: Sequence[Operation]) -> Tile:
    partials = {}
    for one in kept:
        if all(one.key in tile.partials for tile in tiles):
            parts = [tile.partials[one.key] for tile in tiles]
            own = [part for part in parts if part is not None]
            partials[one.key] = one.combine(own) if own else None
    count = sum(tile.count for tile in tiles)
    return Tile(tiles[0].first, tiles[-1].last, count, _encode(tiles), partials, is_block=True)
