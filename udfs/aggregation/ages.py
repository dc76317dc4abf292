"""Since when aggregates are kept, and so from when on they miss nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from udfs.aggregation.specs import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from udfs.aggregation.parts import Reading
    from udfs.aggregation.plan import Plan


class Kept(NamedTuple):
    """What an aggregate reads, if that has an age.

    Args:
        key: Its hash.
        reach_ms: How far back raw entries reach, ms; 0 for all else.
        complete_since: Gives from the time since which it is kept when the aggregate misses
            nothing, both ms.
    """

    key: int
    reach_ms: int
    complete_since: Callable[[int], int | None]


def kept_by(reading: Reading) -> Kept | None:
    """Give what an aggregate reads; None if it has no age.

    Args:
        reading: Of an aggregate that is not derived.
    """
    window, window_ms = reading.window, reading.window_ms
    if window is None:
        assert window_ms is not None
        stream = reading.stream
        return Kept(stream.key, stream.longest_ms, lambda since: since + window_ms)
    if window.complete_since(0) is None:
        return None
    return Kept(key_of(reading.stream.key, reading.cell), 0, window.complete_since)


class Ages:
    """The ages of what the aggregates of one plan keep, by what is kept.

    What is kept is shared and outlives specs: a new aggregate over raw entries that were there
    already is as old as they are. Lifetimes, sessions and the last n events have no time from which
    they miss nothing; they have no age.

    Args:
        plan: Whose aggregates; None for none.

    Attributes:
        since: Event time from which something is kept, ms, and how far back raw entries reach, ms,
            by the hash of what it is: what a job keeps to know it after a restart.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        self.since: dict[int, tuple[int, int]] = {}
        self._kept: Mapping[str, Kept] = {} if plan is None else plan.kept
        self._rests_on: Mapping[str, frozenset[str]] = {} if plan is None else plan.rests_on

    def activate(self, at: int, before: Ages | None = None) -> None:
        """Note that the aggregates come into force.

        Args:
            at: Newest event time so far, ms.
            before: Of the plan before; what both keep is as old as there.
        """
        known = {} if before is None else before.since
        self.since = {}
        for key, reach_ms, _ in self._kept.values():
            found = known.get(key)
            if found is None:
                self.since[key] = at, reach_ms
            else:
                since, before_ms = found
                if reach_ms > before_ms:
                    since = max(since, at - before_ms)
                self.since[key] = since, reach_ms

    def complete_since(self, name: str, floor: int) -> int | None:
        """Give the event time from which an aggregate has seen all that is in its window, ms.

        None without such a time, or before `activate`.

        Args:
            name: Of the aggregate.
            floor: What was before this event time did not come at all, ms.
        """
        found = []
        for base in self._rests_on[name]:
            kept = self._kept.get(base)
            if kept is not None and kept.key in self.since:
                found.append(kept.complete_since(max(self.since[kept.key][0], floor)))
        return max((one for one in found if one is not None), default=None)
