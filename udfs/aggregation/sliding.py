"""Sliding windows: values of a stretch of a log, ``t - d < event_time <= t``, exact."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, TypeAlias

from udfs.aggregation.log import Log, Tile, entries, inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from udfs.aggregation.operations.operation import Operation, Partial

_Loose: TypeAlias = tuple[list[int], list[Any]]
"""Times and items; of a bare log the times are the items."""


def read(log: Log, floor: int, operations: Sequence[Operation]) -> tuple[list[Any], int] | None:
    """Give the values of what is younger than a time. HOT.

    Args:
        log: Not changed.
        floor: Milliseconds; an entry of just that time is out.
        operations: Whose values.

    Returns:
        The values; and the time of the oldest entry in the window, ms. None if it is empty.
    """
    after = floor - log.base
    times = log.times
    sealed = log.tiles or log.blocks
    if sealed and sealed[-1].last > after:
        return _through_tiles(log, after, operations)
    if not times or times[-1] <= after:
        return None
    place = 0 if times[0] > after else bisect_right(times, after)
    items = log.items or times
    if place:
        items = items[place:]
    return [one.direct(items) for one in operations], log.base + times[place]


def _through_tiles(log: Log, after: int, operations: Sequence[Operation]) -> tuple[list[Any], int]:
    parts = _parts(log, after)
    everything: list[Any] | None = None
    values = []
    for one in operations:
        if one.side is not None:
            values.append(one.direct(_one_side(one, parts)))
        elif one.bounded:
            values.append(one.finalize(one.combine([_partial(one, part) for part in parts])))
        else:
            if everything is None:
                everything = [item for part in parts for item in _items(part)]
            values.append(one.direct(everything))
    oldest = parts[0]
    return values, log.base + (oldest.first if isinstance(oldest, Tile) else oldest[0][0])


def _parts(log: Log, after: int) -> list[Tile | _Loose]:
    """Cut a log at a time: whole tiles, and loose entries at the old edge and at the end."""
    parts: list[Tile | _Loose] = [*_cut(log.blocks, after), *_cut(log.tiles, after)]
    if log.times:
        parts.append((log.times, log.items or log.times))
    return parts


def _cut(tiles: Iterable[Tile], after: int) -> Iterator[Tile | _Loose]:
    for tile in tiles:
        if tile.first > after:
            yield tile
        elif tile.last > after:
            if tile.is_block:
                yield from _cut(inside(tile), after)
            else:
                times, items = entries(tile)
                place = bisect_right(times, after)
                yield times[place:], items[place:] or times[place:]


def _partial(operation: Operation, part: Tile | _Loose) -> Partial:
    if not isinstance(part, Tile):
        return operation.fold(part[1])
    found = part.partials.get(operation.key)
    if found is None:  # sealed before anybody asked for this operation
        found = part.partials[operation.key] = operation.combine(
            [_partial(operation, inner) for inner in _inner(part)]
        )
    return found


def _items(part: Tile | _Loose) -> Iterator[Any]:
    if isinstance(part, Tile):
        for inner in _inner(part):
            yield from _items(inner)
    else:
        yield from part[1]


def _inner(tile: Tile) -> Sequence[Tile | _Loose]:
    if tile.is_block:
        return inside(tile)
    times, items = entries(tile)
    return [(times, items or times)]


def _one_side(operation: Operation, parts: Sequence[Tile | _Loose]) -> list[Any]:
    """Take items from one end until the operation has enough."""
    found: list[Any] = []
    newest = operation.side == "newest"
    for stretch in _stretches(parts, newest=newest):
        found = [*stretch, *found] if newest else [*found, *stretch]
        if operation.enough(found):
            break
    return found


def _stretches(parts: Sequence[Tile | _Loose], *, newest: bool) -> Iterator[Sequence[Any]]:
    for part in reversed(parts) if newest else parts:
        if not isinstance(part, Tile):
            yield part[1]
        elif part.is_block:
            yield from _stretches(inside(part), newest=newest)
        else:
            times, items = entries(part)
            yield items or times
