"""Raw entries of one stream of one user: what sliding windows are exact by.

The newest entries lie open, as lists. When there are many, the older half is sealed into a tile:
packed, with the partial results of the operations that keep theirs. Many tiles become a block,
which is a tile of tiles. So a window is read from a few partial results and the entries at its
old edge, and what an event touches does not grow with the window.

All times in here are distances from the log's `base`.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.aggregation.chunks import pack, unpack

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


class Tile(msgspec.Struct, array_like=True, gc=False):
    """A sealed stretch.

    Args:
        first: Its first time.
        last: Its last time.
        count: Its entries.
        packed: The entries as `chunks.pack` gives them; of a block its tiles.
        partials: Key of an operation -> partial result.
        is_block: Whether it holds tiles.
    """

    first: int
    last: int
    count: int
    packed: bytes
    partials: dict[str, Any]
    is_block: bool = False


class Log(msgspec.Struct, array_like=True, gc=False):
    """Entries of one stream, ordered by time and arrival.

    Args:
        base: Time of the first entry ever, ms; all others are distances from it.
        times: Of the open entries.
        items: Of the open entries; stays empty if the stream has no value.
        tiles: Sealed entries before the open ones.
        blocks: Sealed entries before the tiles.
        cut: Time, ms, up to which entries went because there were too many.
    """

    base: int
    times: list[int]
    items: list[Any]
    tiles: list[Tile] = []
    blocks: list[Tile] = []
    cut: int = NEVER

    def newest(self) -> int:
        """Give the time of the latest entry, ms; `NEVER` if there is none."""
        for ends in (self.times, self.tiles, self.blocks):
            if ends:
                last = ends[-1]
                return self.base + (last.last if isinstance(last, Tile) else last)
        return NEVER


_encode = msgspec.msgpack.Encoder().encode
_tiles_of = msgspec.msgpack.Decoder(list[Tile]).decode


def filled(times: Sequence[int], items: Sequence[Any], kept: Sequence[Operation]) -> Log:
    """Make a log of entries that are in order, at least one.

    Args:
        times: Milliseconds.
        items: As many, or none at all.
        kept: Operations whose partial results tiles hold.
    """
    base = times[0]
    log = Log(base, [time - base for time in times], list(items))
    while len(log.times) >= OPEN:
        seal(log, kept)
    return log


def seal(log: Log, kept: Sequence[Operation]) -> int:
    """Seal the older open entries.

    Args:
        log: Changed in place.
        kept: Operations whose partial results tiles hold.

    Returns:
        How many entries were dropped because the log was full.
    """
    times, items = log.times, log.items
    log.tiles = [*log.tiles, _tile(times[:TILE], items[:TILE], kept)]
    del times[:TILE], items[:TILE]
    if len(log.tiles) < TILES:
        return 0
    log.blocks = [*log.blocks, _block(log.tiles[:BLOCK], kept)]
    log.tiles = log.tiles[BLOCK:]
    if len(log.blocks) <= MAX_BLOCKS:
        return 0
    gone, *log.blocks = log.blocks
    log.cut = max(log.cut, log.base + gone.last)
    return gone.count


def drop(log: Log, floor: int) -> None:
    """Drop what no window holds any more.

    Args:
        log: Changed in place.
        floor: Time, ms, up to which entries are not needed; tiles that reach beyond it stay whole.
    """
    last = floor - log.base
    for name in ("blocks", "tiles"):
        sealed = getattr(log, name)
        if sealed and sealed[0].last <= last:
            setattr(log, name, [tile for tile in sealed if tile.last > last])
        if sealed and sealed[-1].last > last:
            return
    times = log.times
    if times and times[0] <= last:
        gone = bisect_right(times, last)
        del times[:gone], log.items[:gone]


def insert(log: Log, time: int, item: Any, kept: Sequence[Operation], *, bare: bool) -> None:
    """Put in an entry that is older than the newest, behind those of the same time.

    Args:
        log: Changed in place.
        time: Milliseconds.
        item: The item; ignored in a bare log.
        kept: Operations whose partial results tiles hold.
        bare: Whether the stream has no items.
    """
    at = time - log.base
    times = log.times
    sealed = log.tiles or log.blocks
    if not sealed or (times and times[0] <= at) or at >= sealed[-1].last:
        place = bisect_right(times, at)
        times.insert(place, at)
        if not bare:
            log.items.insert(place, item)
        return
    if log.tiles and (log.tiles[0].first <= at or not log.blocks):
        log.tiles = _inserted(log.tiles, at, item, kept, bare=bare)
        return
    place = _holder(log.blocks, at)
    tiles = _inserted(inside(log.blocks[place]), at, item, kept, bare=bare)
    log.blocks = [*log.blocks[:place], _block(tiles, kept), *log.blocks[place + 1 :]]


def inside(block: Tile) -> list[Tile]:
    """Give the tiles of a block."""
    return _tiles_of(block.packed)


def entries(tile: Tile) -> tuple[list[int], list[Any]]:
    """Give times and items of a tile; of a bare one no items."""
    return unpack(tile.packed, tile.count, tile.first)


def _inserted(
    tiles: Sequence[Tile], at: int, item: Any, kept: Sequence[Operation], *, bare: bool
) -> list[Tile]:
    place = _holder(tiles, at)
    times, items = entries(tiles[place])
    inner = bisect_right(times, at)
    times.insert(inner, at)
    if not bare:
        items.insert(inner, item)
    if len(times) <= 2 * TILE:
        changed = [_tile(times, items, kept)]
    else:
        changed = [_tile(times[:TILE], items[:TILE], kept), _tile(times[TILE:], items[TILE:], kept)]
    return [*tiles[:place], *changed, *tiles[place + 1 :]]


def _holder(tiles: Sequence[Tile], at: int) -> int:
    """Give the place of the last tile that begins at or before a time, else of the first."""
    return max(0, bisect_right(tiles, at, key=lambda tile: tile.first) - 1)


def _tile(times: Sequence[int], items: Sequence[Any], kept: Sequence[Operation]) -> Tile:
    found = items or times
    partials = {one.key: one.fold(found) for one in kept}
    return Tile(times[0], times[-1], len(times), pack(times, items), partials)


def _block(tiles: Sequence[Tile], kept: Sequence[Operation]) -> Tile:
    partials = {}
    for one in kept:
        parts = [tile.partials.get(one.key) for tile in tiles]
        if None not in parts:
            partials[one.key] = one.combine(parts)
    count = sum(tile.count for tile in tiles)
    return Tile(tiles[0].first, tiles[-1].last, count, _encode(tiles), partials, is_block=True)
