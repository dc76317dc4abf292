"""A stream of items, and all the windows that read it.

A stream is what specs have in common: event types, condition, value, group. Its items are kept
once, whatever number of sliding windows and functions reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from udfs.aggregation.kinds import NARROW
from udfs.aggregation.log import OPEN, Log, append, drop, insert, is_open, new, seal
from udfs.aggregation.state import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.aggregation.operations.operation import Operation
    from udfs.aggregation.state import State
    from udfs.aggregation.windows.window import Window

_Held: TypeAlias = tuple[int, "Window", frozenset[type] | None]
"""Key of a cell, its window, and what it takes if that is not everything."""

TRIM_FROM: Final = 32
"""Fewer open entries are left alone: what could be dropped is worth less than the look."""


class Stream:
    """One stream. Holds no user's data; counters aside, it never changes once it is made.

    Args:
        key: Its hash.
        index: Its place in the plan.
        kind: Which values it takes.
        max_groups: How many groups a user may have; None without groups.

    Attributes:
        longest_ms: Longest window that reads raw entries, ms; 0: none does.
        before: Its key in states of version 2, if that was another one.
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
        self.kinds: set[str] = set()
        """Which values its functions take."""
        self.cells: list[_Held] = []
        self.cold: list[_Held] = []
        """Cells that nobody needs before the state is read or written."""
        self.counts_only = True
        """Whether nobody asks what the items of the log are."""
        self.log_full = 0
        self.groups_dropped = 0
        self.wrong_kind = 0
        self.longest_ms = 0
        self.before: int | None = None
        self._slides_only = True
        """All its windows read the log."""
        self._slack_ms = 0

    def slide(self, window_ms: int, operation: Operation) -> None:
        """Keep raw entries for a sliding window."""
        self.windows_ms.add(window_ms)
        self.longest_ms = max(self.windows_ms)
        self._slack_ms = self.longest_ms // 8
        self.counts_only = self.counts_only and operation.key == "count"
        same = any(one.key == operation.key for one in self.kept)
        if operation.bounded and operation.side is None and not same:
            self.kept.append(operation)

    def hold(self, key: int, window: Window, kind: str, *, cold: bool) -> None:
        """Keep cells for a window that needs no raw entries.

        Args:
            key: Of the cells.
            window: The window.
            kind: Which values its function takes.
            cold: All that read it are cold.
        """
        self._slides_only = False
        (self.cold if cold else self.cells).append((key, window, NARROW.get(kind)))

    def takes(self, item: Any) -> bool:
        """Tell whether any function takes an item; count those that do not."""
        refused = [kind for kind in self.kinds if type(item) not in NARROW.get(kind, (type(item),))]
        self.wrong_kind += len(refused)
        return len(refused) < len(self.kinds)

    @property
    def retention_ms(self) -> int | None:
        """How long after an event it still matters, ms; None: for ever."""
        found = [self.longest_ms]
        for _, window, _ in (*self.cells, *self.cold):
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
        key, entries = self.key, state.entries
        if state.memos:
            state.changes.append(self.index)
        entry = entries.found.get(key) or entries.get(key)
        if entry is not None:
            entries.changed[key] = None
            log = entry.log
            if self._slides_only and log is not None and append(log, time, item):
                if log.count >= TRIM_FROM:
                    self._tidy(log, state.newest)
            else:
                self._take(state, entry, time, item)
            return
        entry = Entry(None, {})
        self._take(state, entry, time, item)
        if entry.log is not None or entry.cells or self.cold:
            entries.put(key, entry)

    def update_group(self, state: State, group: str, time: int, item: Any) -> None:
        """Take one item of a group in. HOT."""
        if state.memos:
            state.changes.append(self.index)
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
        if self.longest_ms:
            log = entry.log
            if log is not None and append(log, time, item):
                if log.count >= TRIM_FROM:
                    self._tidy(log, newest)
            elif time > newest - self.longest_ms:
                self._take_late(entry, time, newest, item)
        if self.cells:
            _add(entry, self.cells, time, newest, item)
        if self.cold:
            state.cold.append((self, entry, time, newest, item))

    def _take_late(self, entry: Entry, time: int, newest: int, item: Any) -> None:
        """Take the first entry of a log, or one that cannot just be appended."""
        log = entry.log
        if log is None:
            entry.log = new([time], [] if self.bare else [item])
            return
        self.log_full += insert(log, time, item, self.kept, bare=self.bare)
        if log.count >= OPEN:
            self._tidy(log, newest)

    def settle(self, entry: Entry, time: int, newest: int, item: Any) -> None:
        """Do for cold cells what was put off."""
        _add(entry, self.cold, time, newest, item)

    def _tidy(self, log: Log, newest: int) -> None:
        """Drop what has left the longest window, from time to time; seal what is much."""
        floor = newest - self.longest_ms
        if is_open(log):
            if log.base <= floor - self._slack_ms:
                drop(log, floor)
        elif log.count >= OPEN:  # else what is sealed would be decoded for each event
            drop(log, floor)
        if log.count >= OPEN:
            self.log_full += seal(log, self.kept)

    def forget(self, entry: Entry, newest: int) -> bool:
        """Drop what no reading needs any more; tell whether anything is left."""
        log = entry.log
        if log is not None and log.newest <= newest - self.longest_ms:
            entry.log = None
        return entry.log is not None or bool(entry.cells)

    def adopt(self, entry: Entry) -> bool:
        """Drop what another plan kept and this one does not; tell whether anything is left."""
        if not self.longest_ms:
            entry.log = None
        known = {key for key, _, _ in (*self.cells, *self.cold)}
        entry.cells = {key: kept for key, kept in entry.cells.items() if key in known}
        return entry.log is not None or bool(entry.cells)


def _add(entry: Entry, held: Sequence[_Held], time: int, newest: int, item: Any) -> None:
    cells = entry.cells
    for key, window, narrow in held:
        if narrow is not None and type(item) not in narrow:
            continue
        kept = window.update(cells.get(key), time, newest, item)
        if kept is not None:
            cells[key] = kept
        else:
            cells.pop(key, None)
