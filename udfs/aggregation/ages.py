"""Since when aggregates are kept, and so from when on they miss nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.aggregation.specs import key_of

if TYPE_CHECKING:
    from udfs.aggregation.parts import Reading
    from udfs.aggregation.plan import Plan


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
        self._readings: dict[str, Reading] = {}
        self._rests_on: dict[str, frozenset[str]] = {}
        if plan is not None:
            self._readings = plan.parts.readings
            self._rests_on = {name: plan.rests_on(name) for name in plan.names}

    def activate(self, at: int, before: Ages | None = None) -> None:
        """Note that the aggregates come into force.

        Args:
            at: Newest event time so far, ms.
            before: Of the plan before; what both keep is as old as there.
        """
        known = {} if before is None else before.since
        self.since = {}
        for reading in self._readings.values():
            kept = _kept(reading)
            if kept is None:
                continue
            reach = reading.stream.longest_ms if reading.window is None else 0
            found = known.get(kept)
            if found is None:
                self.since[kept] = at, reach
            else:
                since, reached = found
                self.since[kept] = (since if reach <= reached else max(since, at - reached)), reach

    def complete_since(self, name: str, floor: int) -> int | None:
        """Give the event time from which an aggregate has seen all that is in its window, ms.

        None without such a time, or before `activate`.

        Args:
            name: Of the aggregate.
            floor: What was before this event time did not come at all, ms.
        """
        found = [self._of(self._readings[base], floor) for base in self._rests_on[name]]
        return max((one for one in found if one is not None), default=None)

    def _of(self, reading: Reading, floor: int) -> int | None:
        kept = _kept(reading)
        found = None if kept is None else self.since.get(kept)
        if found is None:
            return None
        since = max(found[0], floor)
        if reading.window is not None:
            return reading.window.complete_since(since)
        assert reading.window_ms is not None
        return since + reading.window_ms


def _kept(reading: Reading) -> int | None:
    """Name what an aggregate reads: raw entries, or a cell; None if it has no age."""
    if reading.window is None:
        return reading.stream.key
    if reading.window.complete_since(0) is None:
        return None
    return key_of(reading.stream.key, reading.cell)
