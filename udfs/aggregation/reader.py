"""Reading some of a plan's aggregates together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from udfs.aggregation.sliding import ABSENT
from udfs.aggregation.windows.window import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.aggregation.operations.operation import Operation
    from udfs.aggregation.parts import Parts, Reading
    from udfs.aggregation.state import Entries, Entry, State
    from udfs.aggregation.stream import Stream
    from udfs.expressions import Expression

_Found: TypeAlias = tuple[dict[str, Any], int]
"""Values by name, and until when they stay."""


class _Sliding:
    """Functions of one sliding window of one stream."""

    def __init__(self, stream: Stream, window_ms: int, readings: Sequence[Reading]) -> None:
        self.stream = stream
        self.names = [reading.name for reading in readings]
        self.operations: list[Operation] = [reading.operation for reading in readings]
        self.nothing = {one.name: one.operation.nothing for one in readings}
        self._window_ms = window_ms

    def read(self, entry: Entry, at: int) -> _Found | None:
        found = self.stream.read(entry, self._window_ms, at, self.operations)
        if found is None:
            return None
        values = dict(zip(self.names, found[0], strict=True))
        if ABSENT in found[0]:
            values = {name: value for name, value in values.items() if value is not ABSENT}
        return values, found[1]


class _Cell:
    """Functions of one cell: their partial results are the same."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        window = readings[0].window
        assert window is not None
        self.stream = readings[0].stream
        self.names = [reading.name for reading in readings]
        self.nothing = {one.name: one.operation.nothing for one in readings}
        self._values: list[tuple[str, Callable[[Any], Any]]] = [
            (one.name, one.value) for one in readings if one.value is not None
        ]
        self._cell = readings[0].cell
        self._read = window.read

    def read(self, entry: Entry, at: int) -> _Found | None:
        kept = entry.cells.get(self._cell)
        found = None if kept is None else self._read(kept, at)
        if found is None:
            return None
        cell, until = found
        return {name: value(cell) for name, value in self._values}, until


class Reader:
    """Reads a set of aggregates.

    Args:
        parts: Of the plan.
        names: Which aggregates, none of them derived.
        derived: What is worked out from them, in order.

    Attributes:
        derived: Likewise.
    """

    _numbers = 0

    def __init__(
        self, parts: Parts, names: Sequence[str], derived: Sequence[tuple[str, Expression]]
    ) -> None:
        self.derived = list(derived)
        self._cold = any(parts.readings[name].tier == "cold" for name in names)
        together: dict[tuple[int, int | None, int], list[Reading]] = {}
        for name in names:
            reading = parts.readings[name]
            key = (reading.stream.index, reading.window_ms, reading.cell)
            together.setdefault(key, []).append(reading)
        tasks: list[_Sliding | _Cell] = [
            _Cell(readings)
            if window_ms is None
            else _Sliding(readings[0].stream, window_ms, readings)
            for (_, window_ms, _), readings in together.items()
        ]
        self._single = [self._numbered(one) for one in tasks if one.stream.max_groups is None]
        self._grouped = [self._numbered(one) for one in tasks if one.stream.max_groups is not None]

    @classmethod
    def _numbered(cls, task: _Sliding | _Cell) -> tuple[int, int, int, _Sliding | _Cell]:
        cls._numbers += 1
        return cls._numbers, task.stream.index, task.stream.key, task

    def read(self, state: State, at: int) -> dict[str, Any]:
        """Give the values. HOT.

        Args:
            state: The user's.
            at: Not before any event, ms.
        """
        if state.cold and self._cold:
            state.settle()
        values: dict[str, Any] = {}
        cache, entries = state.cache, state.entries
        for number, index, key, task in self._single:
            known = cache.get(index)
            if known is None:
                known = cache[index] = {}
            hit = known.get(number)
            if hit is None or not hit[0] <= at < hit[1]:
                entry = entries.get(key)
                found = None if entry is None else task.read(entry, at)
                if found is None:
                    hit = at, ALWAYS, task.nothing
                else:
                    # What takes none of the items has the value of nothing.
                    full = len(found[0]) == len(task.names)
                    hit = at, found[1], found[0] if full else task.nothing | found[0]
                known[number] = hit
            values.update(hit[2])
        for number, index, key, task in self._grouped:
            known = cache.setdefault(index, {})
            hit = known.get(number)
            if hit is None or not hit[0] <= at < hit[1]:
                hit = known[number] = _by_group(task, state.groups(key), at)
            values.update(hit[2])
        return values


def _by_group(
    task: _Sliding | _Cell, groups: Entries[str] | None, at: int
) -> tuple[int, int, dict[str, Any]]:
    """Read a task for every group that has events in the window."""
    values: dict[str, Any] = {name: {} for name in task.names}
    earliest = ALWAYS
    for group in groups.keys() if groups else ():
        entry = groups.get(group) if groups else None
        found = None if entry is None else task.read(entry, at)
        if found is not None:
            earliest = min(earliest, found[1])
            for name, value in found[0].items():
                values[name][group] = value
    return at, earliest, values
