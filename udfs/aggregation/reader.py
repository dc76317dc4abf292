"""Reading some of a plan's aggregates together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation.sliding import ABSENT
from udfs.aggregation.sliding import read as read_log
from udfs.aggregation.windows.window import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from udfs.aggregation.operations.operation import Operation
    from udfs.aggregation.parts import Parts, Reading
    from udfs.aggregation.state import Entry, State
    from udfs.aggregation.stream import Stream
    from udfs.expressions import Expression

NOTHING: Final = ALWAYS + 1
"""Until when it stays that there is nothing in a window: until an event comes."""


class _Sliding:
    """Functions of one sliding window of one stream."""

    def __init__(self, stream: Stream, window_ms: int, readings: Sequence[Reading]) -> None:
        self.stream = stream
        self.names = [reading.name for reading in readings]
        self.operations: list[Operation] = [reading.operation for reading in readings]
        self.nothing = {one.name: one.operation.nothing for one in readings}
        self._window_ms = window_ms

    def read(self, entry: Entry, at: int, values: dict[str, Any], cut: dict[str, int]) -> int:
        """Write the values of a stream or group; give until when they stay. HOT.

        Args:
            entry: Of the stream, or of one group.
            at: When, ms.
            values: Gets those that there are.
            cut: Gets the names of those that miss something, see `State`.

        Returns:
            `NOTHING` if nothing lies in the window.
        """
        log = entry.log
        if log is None:
            return NOTHING
        window_ms = self._window_ms
        floor = at - window_ms
        if log.cut > floor:
            for name in self.names:
                cut[name] = max(cut.get(name, 0), log.cut + window_ms)
        found = read_log(log, floor, self.operations)
        if found is None:
            return NOTHING
        own = zip(self.names, found[0], strict=True)
        values.update([one for one in own if one[1] is not ABSENT] if ABSENT in found[0] else own)
        return found[1] + window_ms


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

    def read(self, entry: Entry, at: int, values: dict[str, Any], cut: dict[str, int]) -> int:  # noqa: ARG002 - the seam
        """Do what `_Sliding.read` does."""
        kept = entry.cells.get(self._cell)
        found = None if kept is None else self._read(kept, at)
        if found is None:
            return NOTHING
        for name, value in self._values:
            values[name] = value(found[0])
        return found[1]


class Memo:
    """What a reader has read of a state, and what it need not read again.

    Args:
        size: Number of tasks.
        names: In the order in which they are given.

    Attributes:
        values: By name.
        untils: By task until when its values stay, exclusive, ms.
        earliest: The earliest of them.
        at: When it was read last, ms.
        seen: How many changes of the state it knows.
    """

    __slots__ = ("at", "earliest", "seen", "untils", "values")

    def __init__(self, size: int, names: Sequence[str]) -> None:
        self.values: dict[str, Any] = dict.fromkeys(names)
        self.untils = [ALWAYS] * size
        self.earliest = ALWAYS
        self.at = 0
        self.seen = 0


class Reader:
    """Reads a set of aggregates.

    Args:
        number: Of the reader, in its plan.
        parts: Of the plan.
        names: Which aggregates, none of them derived.
        derived: What is worked out from them, in order.

    Attributes:
        derived: Likewise.
    """

    def __init__(
        self,
        number: int,
        parts: Parts,
        names: Sequence[str],
        derived: Sequence[tuple[str, Expression]],
    ) -> None:
        self.derived = list(derived)
        self._number = number
        self._names = tuple(names)
        self._cold = any(parts.readings[name].tier == "cold" for name in names)
        together: dict[tuple[int, int | None, int], list[Reading]] = {}
        for name in names:
            reading = parts.readings[name]
            key = (reading.stream.index, reading.window_ms, reading.cell)
            together.setdefault(key, []).append(reading)
        self._tasks: list[_Sliding | _Cell] = [
            _Cell(same) if window_ms is None else _Sliding(same[0].stream, window_ms, same)
            for (_, window_ms, _), same in together.items()
        ]
        self._by_stream: dict[int, list[int]] = {}
        for place, task in enumerate(self._tasks):
            self._by_stream.setdefault(task.stream.index, []).append(place)

    def read(self, state: State, at: int) -> dict[str, Any]:
        """Give the values; the map is the caller's own. HOT.

        Only what has changed since this was called last is worked out: streams that events came
        to, and windows that something has left.

        Args:
            state: The user's.
            at: Not before any event, ms.
        """
        if self._cold and state.cold:
            state.settle()
        memo = state.memos.get(self._number)
        if memo is None or at < memo.at:
            memo = state.memos[self._number] = Memo(len(self._tasks), self._names)
            self._work_out(memo, range(len(self._tasks)), state, at)
        else:
            again: set[int] = set()
            if memo.seen < len(state.changes):
                by_stream = self._by_stream
                for index in set(state.changes[memo.seen :]):
                    again.update(by_stream.get(index, ()))
            if memo.earliest <= at:
                again.update([place for place, until in enumerate(memo.untils) if until <= at])
            if again:
                self._work_out(memo, again, state, at)
        memo.at = at
        memo.seen = len(state.changes)
        return dict(memo.values)

    def _work_out(self, memo: Memo, places: Iterable[int], state: State, at: int) -> None:
        values, untils, tasks, entries = memo.values, memo.untils, self._tasks, state.entries
        for place in places:
            task = tasks[place]
            stream = task.stream
            if state.cut:
                for name in task.names:
                    state.cut.pop(name, None)
            if stream.max_groups is not None:
                untils[place] = _by_group(values, task, state, at)
                continue
            values.update(task.nothing)
            entry = entries.found.get(stream.key) or entries.get(stream.key)
            untils[place] = NOTHING if entry is None else task.read(entry, at, values, state.cut)
        memo.earliest = min(untils, default=ALWAYS)


def _by_group(values: dict[str, Any], task: _Sliding | _Cell, state: State, at: int) -> int:
    """Read a task for every group that has events in the window; give until when it stays."""
    groups = state.groups(task.stream.key)
    for name in task.names:
        values[name] = {}
    earliest = ALWAYS
    for group in groups.keys() if groups else ():
        entry = groups.get(group) if groups else None
        if entry is not None:
            own: dict[str, Any] = {}
            earliest = min(earliest, task.read(entry, at, own, state.cut))
            for name, value in own.items():
                values[name][group] = value
    return earliest
