"""Sliding windows: values of a stretch of a log, ``t - d < event_time <= t``, exact."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from udfs.aggregation.kinds import taken
from udfs.aggregation.log import (
    MIXED,
    Log,
    Tile,
    blocks_of,
    entries,
    inside,
    is_open,
    items_of,
    opened,
    sealed_of,
    tiles_of,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from udfs.aggregation.operations.operation import Operation

ABSENT: Final = object()
"""Stands for the value of an operation that takes none of the items in the window."""

_Loose: TypeAlias = tuple[Sequence[int], Sequence[Any]]
"""Times, ms, and items; of a bare log the times are the items."""


def read(log: Log, floor: int, operations: Sequence[Operation]) -> tuple[list[Any], int] | None:
    """Give the values of what is younger than a time. HOT.

    Args:
        log: Not changed.
        floor: Milliseconds; an entry of just that time is out.
        operations: Whose values.

    Returns:
        The values, `ABSENT` for an operation that takes none of the items; and the time of the
        oldest entry in the window, ms. None if it is empty.
    """
    if not is_open(log) and sealed_of(log)[-1].last > floor:
        return _through_tiles(log, floor, operations)
    if not log.count or log.last <= floor:
        return None
    items: Sequence[Any] = items_of(log)
    oldest = log.base
    if oldest <= floor or not items:
        times = times_of(log)
        items = items or times
        if oldest <= floor:
            place = bisect_right(times, floor - oldest)
            items = items[place:]
            oldest += times[place]
    if log.code == MIXED:
        return [_direct(one, items) for one in operations], oldest
    return [one.direct(items) for one in operations], oldest


def _direct(operation: Operation, items: Sequence[Any]) -> Any:
    own = taken(operation.kind, items)
    return operation.direct(own) if own else ABSENT


def _through_tiles(log: Log, floor: int, operations: Sequence[Operation]) -> tuple[list[Any], int]:
    parts = _parts(log, floor)
    everything: list[Any] | None = None
    values = []
    for one in operations:
        if one.side is not None:
            values.append(_direct(one, _one_side(one, parts)))
        elif one.bounded:
            partials = [_partial(one, part) for part in parts]
            own = [partial for partial in partials if partial is not None]
            values.append(one.finalize(one.combine(own)) if own else ABSENT)
        else:
            if everything is None:
                everything = [item for part in parts for item in _items(part)]
            values.append(_direct(one, everything))
    oldest = parts[0]
    return values, oldest.first if isinstance(oldest, Tile) else oldest[0][0]


def _parts(log: Log, floor: int) -> list[Tile | _Loose]:
    """Cut a log at a time: whole tiles, and loose entries at the old edge and at the end."""
    parts: list[Tile | _Loose] = [
        *_cut(blocks_of(log), floor),
        *_cut(tiles_of(log), floor),
    ]
    if log.count:
        times, items = opened(log)
        parts.append((times, items or times))
    return parts


def _cut(tiles: Iterable[Tile], floor: int) -> Iterator[Tile | _Loose]:
    for tile in tiles:
        if tile.first > floor:
            yield tile
        elif tile.last > floor:
            if tile.is_block:
                yield from _cut(inside(tile), floor)
            else:
                times, items = entries(tile)
                place = bisect_right(times, floor)
                yield times[place:], items[place:] or times[place:]


def _partial(operation: Operation, part: Tile | _Loose) -> Any:
    """Give the partial result of a part, None if the operation takes none of its items."""
    if not isinstance(part, Tile):
        own = taken(operation.kind, part[1])
        return operation.fold(own) if own else None
    if operation.key not in part.partials:  # sealed before anybody asked for this operation
        inner = [_partial(operation, one) for one in _inner(part)]
        own = [partial for partial in inner if partial is not None]
        part.partials[operation.key] = operation.combine(own) if own else None
    return part.partials[operation.key]


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
