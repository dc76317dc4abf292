"""What goes from a user's state: what another plan kept, and what is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation import state as states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from udfs.aggregation.state import Entries, Entry, State
    from udfs.aggregation.stream import Stream

_AT_LEAST_MS: Final = 3_600_000
"""Of event time between two looks at what is over."""
_SHARE: Final = 4
"""A look in so much of the longest window, if that is longer."""


class Sifter:
    """Sifts states for a plan. Knows its streams and nothing else of it.

    Args:
        streams: Of the plan.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._ungrouped = {one.key: one for one in streams if one.max_groups is None}
        self._grouped = {one.key: one for one in streams if one.max_groups is not None}
        longest_ms = max((one.retention_ms or 0 for one in streams), default=0)
        self._every_ms = max(_AT_LEAST_MS, longest_ms // _SHARE)

    def adopt(self, state: State, version: bytes) -> None:
        """Drop what another plan kept and this one does not.

        Args:
            state: As that plan left it.
            version: In which it was stored.
        """
        if version == states.ONE_STREAM:
            for stream in self._grouped.values():
                if stream.before is not None:
                    state.copy_groups(stream.before, stream.key)
        self._sift(state, lambda stream, entry: stream.adopt(entry))

    def tidy(self, state: State) -> None:
        """Drop what no reading needs any more: streams that brought nothing for long."""
        state.settle()
        newest = state.newest
        self._sift(state, lambda stream, entry: stream.forget(entry, newest))

    def next_tidying(self, time: int) -> int:
        """Give the event time, ms, after another one at which a state should be tidied."""
        return (time // self._every_ms + 1) * self._every_ms

    def _sift(self, state: State, keep: Callable[[Stream, Entry], bool]) -> None:
        """Keep the entries of known streams that have anything left."""
        for key in state.entries.keys():  # noqa: SIM118 - a list
            _sift_one(state.entries, key, self._ungrouped.get(key), keep)
        for key in state.grouped_keys():
            groups, stream = state.groups(key), self._grouped.get(key)
            if groups is None or stream is None:
                state.remove_groups(key)
                continue
            for group in groups.keys():  # noqa: SIM118 - a list
                entry = groups.get(group)
                if entry is not None:
                    keep(stream, entry)
                    groups.changed[group] = None


def _sift_one(
    entries: Entries[Any], key: Any, stream: Stream | None, keep: Callable[[Stream, Entry], bool]
) -> None:
    entry = None if stream is None else entries.get(key)
    if stream is None or entry is None or not keep(stream, entry):
        entries.remove(key)
    else:
        entries.changed[key] = None
