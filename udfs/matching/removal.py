"""Why runs are gone that no event ended: time, another match, or too many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.courses import Ending
from udfs.matching.runs import deadline_of
from udfs.matching.spec import Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import State
    from udfs.matching.histories import Histories
    from udfs.matching.result import Match
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Node


class Removal:
    """What happened to the runs of one rule at once.

    Args:
        rule: Which.
        histories: Their histories.
        matches: What was reported.
        dropped: How many runs went because of ``max_runs``.
        now: Rule time, ms.
        event: What came, None if only time passed.

    Attributes:
        matched: Times of matches, by history.
        timed_out: Times of time-outs, by history.
    """

    def __init__(
        self,
        rule: CompiledRule,
        histories: Histories,
        matches: Sequence[Match],
        dropped: int,
        now: int,
        event: Event | None,
    ) -> None:
        self.matches = matches
        self.now = now
        self.event = event
        self.matched: dict[int, list[int]] = {}
        self.timed_out: dict[int, list[int]] = {}
        self._rule = rule
        self._histories = histories
        self._dropped = dropped
        self._pruned: list[tuple[int, Match]] = []
        """Positions below which a run must not have begun, with the match that says so."""
        for match in matches:
            history = histories.of_match(match)
            if match.kind == "timeout":
                self.timed_out.setdefault(history, []).append(match.at)
                continue
            self.matched.setdefault(history, []).append(match.at)
            limit = self._limit(history)
            if limit is not None:
                self._pruned.append((limit, match))

    def ending(self, history: int, places: Sequence[tuple[State, Node]]) -> Ending:
        """Give why a run is gone.

        Args:
            history: What it took.
            places: Where it stood.
        """
        timed_out = self.timed_out.get(history)
        if timed_out is not None:
            return Ending("timeout", timed_out[-1], f"{self._limit_text(places)}; it was reported")
        ends = [end for state, node in places if (end := deadline_of(state, node)) is not None]
        end = max(ends, default=None)
        began = self._histories.positions(history)[0][0]
        for limit, match in self._pruned:
            if began < limit and (end is None or match.at < end):
                how = self._rule.spec.skip.value
                why = f"{how}: a match that began at {_first(match)} took its place"
                return Ending("pruned", match.at, why)
        if end is not None and end <= self.now:
            kind = "gap" if self._by_gap(places) else "window"
            return Ending(kind, end, self._limit_text(places))
        if self._dropped:
            spec = self._rule.spec
            how = "drop_oldest" if spec.drop_oldest else "drop_newest"
            return Ending("overflow", self.now, f"more than {spec.max_runs} runs: {how}")
        return Ending("window", self.now, "its time was over when it came there")

    def _by_gap(self, places: Sequence[tuple[State, Node]]) -> bool:
        return any(
            state.gap_ms is not None
            and (
                state.window_ms is None
                or node.entry.time + state.gap_ms < node.root.time + state.window_ms
            )
            for state, node in places
        )

    def _limit_text(self, places: Sequence[tuple[State, Node]]) -> str:
        if self._by_gap(places):
            return "too long since the event that it took last"
        return "its window has passed"

    def _limit(self, history: int) -> int | None:
        """Give the position before which runs that began there are pruned by a match."""
        positions = self._histories.positions(history)
        spec = self._rule.spec
        if spec.skip is Skip.NONE:
            return None
        if spec.skip is Skip.TO_NEXT:
            return positions[0][0] + 1
        if spec.skip is Skip.PAST_LAST:
            return positions[-1][0] + 1
        named = [position for position, step in positions if step == spec.skip_step]
        if not named:
            return None
        return named[0] if spec.skip is Skip.TO_FIRST else named[-1]


def _first(match: Match) -> str:
    [event, *_] = next(iter(match.steps.values()))
    return f"event {event.event_id}"
