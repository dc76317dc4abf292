"""From the parts of a pattern to the states of Flink's machine for it.

This follows Flink CEP 2.3's ``NFACompiler`` step by step, from the last part to the first, also
where its answers surprise: names of states decide which of them have a time limit between
events, and greedy steps add conditions to the states behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.automaton import Action, Kind, State
from udfs.matching.contiguity import Conditions, until_then
from udfs.matching.flatten import flatten
from udfs.matching.logic import Conjunction, Formula, both, negate
from udfs.matching.parts import Part
from udfs.matching.spec import Then

if TYPE_CHECKING:
    from udfs.matching.spec import Times

END = "$endState$"


class Automaton:
    """The states of one rule, numbered in the order in which they were made.

    Args:
        last: The last part of the pattern.
        window_ms: Of the rule.

    Raises:
        TooManyMovesError: There are too many ways to read one event.
    """

    def __init__(self, last: Part, window_ms: int | None) -> None:
        self.states: list[State] = []
        self.limits: dict[str, int] = {}
        """Time limits between events, ms, by JSON path."""
        self._at = last
        self._following: Part | None = None
        self._conditions = Conditions()
        self._stops: dict[str, State] = {}
        self._names: set[str] = set()
        self._unchanged: dict[str, State] = {}
        """States before a greedy step with ``until`` added its conditions, by name."""
        self._has_window = window_ms is not None
        self.start = self._convert(self._middle(self._new(END, Kind.FINAL)))
        for state in self.states:
            state.window_ms = window_ms
        completions: dict[State, tuple[Conjunction, ...]] = {}
        for state in self.states:
            flatten(state, completions)

    def _middle(self, sink: State) -> State:
        """Make the states of all parts of this level but the first."""
        while self._at.before is not None:
            part = self._at
            then = part.spec.then
            if then is Then.NOT_FOLLOWED_BY:
                # In the middle it becomes edges of its neighbours; at the end it waits.
                timed = part.spec.gap_max_ms is not None or self._has_window
                if timed and sink.kind is Kind.FINAL:
                    taken = self._conditions.taken(part)
                    sink = self._standing(Kind.PENDING)
                    sink.add(Action.PROCEED, self._stop(part), taken)
                    sink.add(Action.IGNORE, sink, negate(taken))
            elif then is Then.NOT_NEXT:
                taken = self._conditions.taken(part)
                here = self._standing(Kind.NORMAL)
                stop = self._stop(part)
                # Proceeding into the final state would need no event at all.
                onward = Action.IGNORE if sink.kind is Kind.FINAL else Action.PROCEED
                here.add(onward, sink, negate(taken))
                here.add(Action.PROCEED, stop, taken)
                sink = here
            else:
                sink = self._convert(sink)
            self._following = part
            self._at = self._before(part)
        return sink

    @staticmethod
    def _before(part: Part) -> Part:
        assert part.before is not None
        return part.before

    def _convert(self, sink: State) -> State:
        part, times = self._at, self._at.spec.times
        if times is None:
            state = self._one(
                sink,
                sink,
                self._conditions.taken(part),
                self._conditions.before(part),
                optional=part.spec.optional,
            )
        elif times.most is None:
            self._conditions.later_round.add(part)
            loop = self._loop(self._without_nots(sink))
            self._conditions.later_round.discard(part)
            state = self._repeats(loop, sink, times)
        else:
            state = self._repeats(sink, sink, times)
        self._add_stops(state)
        return state

    def _new(self, name: str, kind: Kind) -> State:
        free, count = name, 0
        while free in self._names:
            free = f"{name}:{count}"
            count += 1
        self._names.add(free)
        state = State(len(self.states), self._at.number, kind, free)
        self.states.append(state)
        return state

    def _standing(self, kind: Kind) -> State:
        """Make a state that has the time limit between events, if there is one."""
        spec = self._at.spec
        state = self._new(self._at.name, kind)
        key = "gap.max" if spec.times is None else "repeat_within"
        if spec.times is None:
            state.gap_ms = spec.gap_max_ms
        elif ":" in state.name:
            state.gap_ms = spec.repeat_within_ms
        if state.gap_ms is not None:
            self.limits[f"{self._at.place}.{key}"] = state.gap_ms
        return state

    def _stop(self, part: Part) -> State:
        name = part.spec.name
        stop = self._stops.get(name)
        if stop is None:
            stop = self._stops[name] = self._new(name, Kind.STOP)
            stop.step = part.number
            stop.add(Action.TAKE, stop, self._conditions.taken(part))
        return stop

    def _repeats(self, sink: State, after: State, times: Times) -> State:
        """Chain the repeats of a part, the last first."""
        part = self._at
        most = times.least if times.most is None else times.most
        self._conditions.later_round.add(part)
        until = part.until
        between = until_then(self._conditions.between(part), until)
        taken = until_then(self._conditions.taken(part), until)
        assert taken is not None
        if part.spec.greedy and most != times.least:
            _hold_back(sink, taken)
        for _ in range(most - times.least):
            sink = self._one(sink, after, taken, between, optional=True)
            self._add_following_stop(sink)
        for _ in range(times.least - 1):
            sink = self._one(sink, None, taken, between, optional=False)
            self._add_following_stop(sink)
        self._conditions.later_round.discard(part)
        return self._one(
            sink, after, taken, self._conditions.before(part), optional=part.spec.optional
        )

    def _one(
        self,
        sink: State,
        after: State | None,
        taken: Formula,
        passing: Formula | None,
        *,
        optional: bool,
    ) -> State:
        """Make the states of one repeat; without it the run goes on in `after`."""
        part = self._at
        if part.last is not None:
            return self._round(part, sink, after, optional=optional)
        state = self._standing(Kind.NORMAL)
        # Taking ends the absences before an optional step; leaving it out does not.
        sink = self._without_nots(sink)
        state.add(Action.TAKE, sink, taken)
        if optional:
            assert after is not None
            self._add_leaving_out(state, after)
        if passing is not None:
            aside = state
            if optional or self._conditions.heads_optional_group(part):
                # Having ignored once, the run may not proceed again: that branch exists already.
                aside = self._new(part.name, Kind.NORMAL)
                aside.add(Action.TAKE, sink, taken)
                aside.add(Action.IGNORE, aside, passing)
                self._add_stops(aside)
            state.add(Action.IGNORE, aside, passing)
        return state

    def _add_leaving_out(self, state: State, after: State) -> None:
        until = self._at.until
        onward = self._conditions.onward()
        if self._at.spec.greedy and until is not None:
            unchanged = self._unchanged.get(after.name)
            if unchanged is not None:
                state.add(Action.PROCEED, unchanged, both(onward, until))
            onward = both(onward, negate(until))
        state.add(Action.PROCEED, after, onward)

    def _round(self, group: Part, sink: State, after: State | None, *, optional: bool) -> State:
        """Make the states of a group, once."""
        onward = self._conditions.onward()
        state = self._inside(group, sink)
        if optional:
            assert after is not None
            state.add(Action.PROCEED, after, onward)
        return state

    def _inside(self, group: Part, sink: State) -> State:
        assert group.last is not None
        outer = self._at, self._following, self._conditions.group
        self._conditions.group, self._at = group, group.last
        state = self._convert(self._middle(sink))
        self._at, self._following, self._conditions.group = outer
        return state

    def _loop(self, sink: State) -> State:
        """Make a state that takes events again and again."""
        part = self._at
        if part.last is not None:
            return self._loop_of_group(part, sink)
        until = part.until
        passing = until_then(self._conditions.between(part), until)
        taken = until_then(self._conditions.taken(part), until)
        assert taken is not None
        loop = self._standing(Kind.NORMAL)
        if part.spec.greedy:
            if until is not None:
                self._unchanged[sink.name] = self._copy(sink)
            self._add_leaving_out(loop, sink)
            _hold_back(sink, self._conditions.taken(part))
        else:
            loop.add(Action.PROCEED, sink, self._conditions.onward())
        loop.add(Action.TAKE, loop, taken)
        self._add_following_stop(loop)
        if passing is not None:
            aside = self._new(part.name, Kind.NORMAL)
            aside.add(Action.TAKE, loop, taken)
            aside.add(Action.IGNORE, aside, passing)
            loop.add(Action.IGNORE, aside, passing)
            self._add_following_stop(aside)
        return loop

    def _loop_of_group(self, group: Part, sink: State) -> State:
        onward = self._conditions.onward()
        again = self._standing(Kind.NORMAL)
        state = self._inside(group, again)
        state.add(Action.PROCEED, sink, onward)
        again.add(Action.PROCEED, state, onward)
        return state

    def _nots_before(self) -> list[Part]:
        """Give the absences that hold while the current part waits."""
        found = []
        part = self._at
        while part.before is not None and (
            part.before.spec.optional or part.before.spec.then is Then.NOT_FOLLOWED_BY
        ):
            part = part.before
            if part.spec.then is Then.NOT_FOLLOWED_BY:
                found.append(part)
        return found

    def _add_stops(self, state: State) -> None:
        for part in self._nots_before():
            state.add(Action.PROCEED, self._stop(part), self._conditions.taken(part))

    def _add_following_stop(self, state: State) -> None:
        following = self._following
        if following is not None and following.spec.then is Then.NOT_FOLLOWED_BY:
            state.add(Action.PROCEED, self._stop(following), self._conditions.taken(following))

    def _without_nots(self, sink: State) -> State:
        """Give a copy of the state that the absences before the current part cannot stop."""
        nots = {part.spec.name for part in self._nots_before()}
        if not nots or not self._at.spec.optional:
            return sink
        copy = self._new(sink.name, sink.kind)
        copy.step = sink.step
        for edge in list(sink.edges):
            target = edge.target
            if edge.action is not Action.PROCEED:
                copy.add(edge.action, copy if target is sink else target, edge.needs)
            elif target.kind is not Kind.STOP:
                copy.add(edge.action, self._without_nots(target), edge.needs)
            elif target.name not in nots:
                copy.add(edge.action, target, edge.needs)
        return copy

    def _copy(self, state: State) -> State:
        copy = self._new(state.name.partition(":")[0], state.kind)
        copy.step = state.step
        for edge in state.edges:
            copy.add(edge.action, copy if edge.target is state else edge.target, edge.needs)
        return copy


def _hold_back(state: State, taken: Formula) -> None:
    """Let nothing out of a state that the greedy step before it can take."""
    for edge in state.edges:
        edge.needs = both(edge.needs, negate(taken))
