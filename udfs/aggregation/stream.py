"""A stream of items, and all the windows that read it.

A stream is what specs have in common: event types, condition, value, group. Its items are kept
once, whatever number of sliding windows and functions reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation.log import OPEN, Log, drop, insert, seal
from udfs.aggregation.sliding import read as read_log
from udfs.aggregation.state import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.aggregation.operations.operation import Operation
    from udfs.aggregation.state import State
    from udfs.aggregation.windows.window import Window

TRIM_FROM: Final = 32
"""Fewer open entries are left alone: what could be dropped is worth less than the look."""


class Stream:
    """One stream. Holds no user's data; counters aside, it never changes once it is made.

    Args:
        key: Its hash.
        index: Its place in the plan.
        kind: Which values it takes.
        max_groups: How many groups a user may have; None without groups.
    """

    def __init__(self, key: int, index: int, kind: str, max_groups: int | None) -> None:
        self.key = key
        self.index = index
        self.max_groups = max_groups
        self.kind = kind
        self.bare = kind == "event"
        self.windows_ms: set[int] = set()
        self.kept: list[Operation] = []
        """Operations whose partial results the tiles of the log hold."""
        self.cells: list[tuple[int, Window]] = []
        self.cold: list[tuple[int, Window]] = []
        """Cells that nobody needs before the state is read or written."""
        self.counts_only = True
        """Whether nobody asks what the items of the log are."""
        self.log_full = 0
        self.groups_dropped = 0
        self.wrong_kind = 0
        self._longest_ms = 0
        self._slack_ms = 0

    def slide(self, window_ms: int, operation: Operation) -> None:
        """Keep raw entries for a sliding window."""
        self.windows_ms.add(window_ms)
        self._longest_ms = max(self.windows_ms)
        self._slack_ms = self._longest_ms // 8
        self.counts_only = self.counts_only and operation.key == "count"
        same = any(one.key == operation.key for one in self.kept)
        if operation.bounded and operation.side is None and not same:
            self.kept.append(operation)

    def hold(self, key: int, window: Window, *, cold: bool) -> None:
        """Keep cells for a window that needs no raw entries.

        Args:
            key: Of the cells.
            window: The window.
            cold: All that read it are cold.
        """
        (self.cold if cold else self.cells).append((key, window))

    @property
    def retention_ms(self) -> int | None:
        """How long after an event it still matters, ms; None: for ever."""
        found = [self._longest_ms]
        for _, window in (*self.cells, *self.cold):
            if window.retention_ms is None:
                return None
            found.append(window.retention_ms)
        return max(found)

    def update(self, state: State, time: int, item: Any) -> None:
        """Take one item in. HOT.

        Args:
            state: The user's, changed in place; `newest` includes this event.
            time: The event's own time, ms.
            item: What is kept of the value.
        """
        state.cache.pop(self.index, None)
        key = self.key
        entries = state.entries
        entry = entries.found.get(key) or entries.get(key)
        if entry is not None:
            self._take(state, entry, time, item)
            entries.changed(key)
            return
        entry = Entry(None, {})
        self._take(state, entry, time, item)
        if entry.log is not None or entry.cells or self.cold:
            entries.put(key, entry)

    def update_group(self, state: State, group: str, time: int, item: Any) -> None:
        """Take one item of a group in. HOT."""
        state.cache.pop(self.index, None)
        groups = state.groups(self.key)
        if groups is None:
            groups = state.new_groups(self.key)
        entry = groups.get(group)
        if entry is None:
            entry = Entry(None, {})
            if len(groups) == self.max_groups:
                groups.remove(groups.keys()[0])
                self.groups_dropped += 1
        self._take(state, entry, time, item)
        # Also with nothing in it: which groups there are must not depend on the windows.
        groups.put(group, entry)

    def _take(self, state: State, entry: Entry, time: int, item: Any) -> None:
        newest = state.newest
        if self._longest_ms:
            log = entry.log
            if log is not None and log.times and time - log.base >= log.times[-1]:
                log.times.append(time - log.base)
                if not self.bare:
                    log.items.append(item)
                if len(log.times) >= TRIM_FROM:
                    self._tidy(log, newest)
            elif time > newest - self._longest_ms:
                self._take_late(entry, time, newest, item)
        if self.cells:
            _add(entry, self.cells, time, newest, item)
        if self.cold:
            state.cold.append((self, entry, time, newest, item))

    def _take_late(self, entry: Entry, time: int, newest: int, item: Any) -> None:
        """Take the first entry of a log, or one that is not the latest."""
        log = entry.log
        if log is None:
            entry.log = Log(time, [0], [] if self.bare else [item])
            return
        insert(log, time, item, self.kept, bare=self.bare)
        if len(log.times) >= OPEN:
            self._tidy(log, newest)

    def settle(self, entry: Entry, time: int, newest: int, item: Any) -> None:
        """Do for cold cells what was put off."""
        _add(entry, self.cold, time, newest, item)

    def _tidy(self, log: Log, newest: int) -> None:
        """Drop what has left the longest window, from time to time; seal what is much."""
        floor = newest - self._longest_ms
        oldest = (log.blocks or log.tiles)[0].last if log.blocks or log.tiles else log.times[0]
        if log.base + oldest <= floor - self._slack_ms:
            drop(log, floor)
        if len(log.times) >= OPEN:
            self.log_full += seal(log, self.kept)

    def read(
        self, entry: Entry, window_ms: int, at: int, operations: list[Operation]
    ) -> tuple[list[Any], int] | None:
        """Give values of a sliding window, and until when they stay.

        Returns:
            None if nothing lies in the window.
        """
        if entry.log is None:
            return None
        found = read_log(entry.log, at - window_ms, operations)
        return None if found is None else (found[0], found[1] + window_ms)

    def forget(self, entry: Entry, newest: int) -> bool:
        """Drop what no reading needs any more; tell whether anything is left."""
        log = entry.log
        if log is not None and log.newest() <= newest - self._longest_ms:
            entry.log = None
        return entry.log is not None or bool(entry.cells)

    def adopt(self, entry: Entry) -> bool:
        """Drop what another plan kept and this one does not; tell whether anything is left."""
        if not self._longest_ms:
            entry.log = None
        known = {key for key, _ in (*self.cells, *self.cold)}
        entry.cells = {key: kept for key, kept in entry.cells.items() if key in known}
        return entry.log is not None or bool(entry.cells)


def _add(
    entry: Entry, held: Sequence[tuple[int, Window]], time: int, newest: int, item: Any
) -> None:
    cells = entry.cells
    for key, window in held:
        kept = window.update(cells.get(key), time, newest, item)
        if kept is not None:
            cells[key] = kept
        else:
            cells.pop(key, None)
