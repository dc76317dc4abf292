"""A rule as states with take, ignore and proceed edges, and their flattening.

The construction gives the machine that Flink CEP 2.3 builds for the same pattern (its
``NFACompiler``), built backwards from the final state, so that every count of runs, time-outs
and matches agrees. A *proceed* edge costs no event; `flatten` follows them once at compile
time, so that at run time every state has plain take and ignore edges with a conjunction each.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from udfs.matching.predicates import Predicate
from udfs.matching.spec import RuleSpec, StepSpec, Then


class Kind(enum.Enum):
    """What it means to stand in a state."""

    NORMAL = enum.auto()
    PENDING = enum.auto()
    """A match, if the window passes."""
    FINAL = enum.auto()
    STOP = enum.auto()
    """Something happened that must not: the run is gone."""


class Action(enum.Enum):
    """What an edge does with the event."""

    TAKE = enum.auto()
    IGNORE = enum.auto()
    PROCEED = enum.auto()


Literal: TypeAlias = tuple[Predicate, bool]
Conjunction: TypeAlias = tuple[Literal, ...]


class Edge:
    """An edge as the pattern says it."""

    __slots__ = ("action", "needs", "target")

    def __init__(self, action: Action, target: State, needs: Conjunction) -> None:
        self.action = action
        self.target = target
        self.needs = needs


class Move:
    """A flattened edge.

    Args:
        takes: Whether the event is taken (else ignored).
        target: The next state.
        step: Index of the step that takes the event.
        needs: Predicate indexes with the outcome each must have; all must agree.
        completes: After taking, the run is a match as well if one of these holds.
    """

    __slots__ = ("completes", "needs", "step", "takes", "target")

    def __init__(
        self,
        takes: bool,  # noqa: FBT001 - built in one place
        target: State,
        step: int,
        needs: tuple[tuple[int, bool], ...],
        completes: tuple[tuple[tuple[int, bool], ...], ...],
    ) -> None:
        self.takes = takes
        self.target = target
        self.step = step
        self.needs = needs
        self.completes = completes


class State:
    """A state of one rule; the machine adds what it needs at run time."""

    __slots__ = (
        "depends",
        "edges",
        "index",
        "kind",
        "moves",
        "rule",
        "step",
        "waits",
        "wake",
        "window_ms",
    )

    def __init__(self, index: int, step: int, kind: Kind) -> None:
        self.index = index
        self.step = step
        self.kind = kind
        self.edges: list[Edge] = []
        self.moves: tuple[Move, ...] = ()
        self.depends: tuple[int, ...] = ()
        """Predicates of the moves whose outcome depends on the run."""
        self.waits: Move | None = None
        """If standing here is nothing but waiting for one event, the move it makes."""
        self.rule = -1
        self.window_ms: int | None = None
        self.wake = -1
        """Which events can change a run that stands here (an index of the machine)."""

    def add(self, action: Action, target: State, needs: Conjunction = ()) -> None:
        """Append an edge; their order decides ties, as in Flink."""
        self.edges.append(Edge(action, target, needs))


class Automaton:
    """The states of one rule, numbered in the order in which they were made."""

    def __init__(self, spec: RuleSpec, predicates: list[Predicate]) -> None:
        self.states: list[State] = []
        self._steps = spec.steps
        self._predicates = predicates
        self._stops: dict[int, State] = {}
        self._at = len(spec.steps) - 1
        self.start = self._build(has_window=spec.within_ms is not None)
        for state in self.states:
            _flatten(state)

    def _build(self, *, has_window: bool) -> State:
        sink = self._new(self._at, Kind.FINAL)
        while self._at:
            step = self._steps[self._at]
            taken = self._taken(self._at)
            if step.then is Then.NOT_FOLLOWED_BY:
                # In the middle it becomes edges of its neighbours; at the end it waits.
                if has_window and sink.kind is Kind.FINAL:
                    sink = self._new(self._at, Kind.PENDING)
                    sink.add(Action.PROCEED, self._stop(self._at), taken)
                    sink.add(Action.IGNORE, sink, _not(taken))
            elif step.then is Then.NOT_NEXT:
                here = self._new(self._at, Kind.NORMAL)
                # Proceeding into the final state would need no event at all.
                onward = Action.IGNORE if sink.kind is Kind.FINAL else Action.PROCEED
                here.add(onward, sink, _not(taken))
                here.add(Action.PROCEED, self._stop(self._at), taken)
                sink = here
            else:
                sink = self._step(step, sink)
            self._at -= 1
        return self._step(self._steps[0], sink)

    def _new(self, step: int, kind: Kind) -> State:
        state = State(len(self.states), step, kind)
        self.states.append(state)
        return state

    def _taken(self, at: int) -> Conjunction:
        return ((self._predicates[at], True),)

    def _passing(self, then: Then) -> Conjunction | None:
        """Give what must hold to ignore an event; None if nothing may be ignored."""
        if then is Then.NEXT:
            return None
        return _not(self._taken(self._at)) if then is Then.FOLLOWED_BY else ()

    def _stop(self, at: int) -> State:
        stop = self._stops.get(at)
        if stop is None:
            stop = self._stops[at] = self._new(at, Kind.STOP)
            stop.add(Action.TAKE, stop, self._taken(at))
        return stop

    def _step(self, step: StepSpec, sink: State) -> State:
        times = step.times
        if times is None:
            state = self._single(sink, sink, self._passing(step.then), step.optional)
        elif times.most is None:
            loop = self._loop(self._without_nots(sink))
            state = self._repeats(loop, sink, times.least, times.least)
        else:
            state = self._repeats(sink, sink, times.least, times.most)
        self._add_stops(state)
        return state

    def _repeats(self, sink: State, after: State, least: int, most: int) -> State:
        """Chain the repeats of a step, the last first."""
        step = self._steps[self._at]
        between = self._passing(step.inner)
        for _ in range(most - least):
            sink = self._single(sink, after, between, optional=True)
            self._add_following_stop(sink)
        for _ in range(least - 1):
            sink = self._single(sink, None, between, optional=False)
            self._add_following_stop(sink)
        return self._single(sink, after, self._passing(step.then), step.optional)

    def _single(
        self,
        sink: State,
        after: State | None,
        passing: Conjunction | None,
        optional: bool,  # noqa: FBT001 - a private helper
    ) -> State:
        """Make a state that takes one event."""
        state = self._new(self._at, Kind.NORMAL)
        taken = self._taken(self._at)
        # Taking ends the absences before an optional step; leaving it out does not.
        sink = self._without_nots(sink)
        state.add(Action.TAKE, sink, taken)
        if optional:
            assert after is not None
            state.add(Action.PROCEED, after)
        if passing is not None:
            aside = state
            if optional:
                # Having ignored once, the run may not proceed again: that branch exists already.
                aside = self._new(self._at, Kind.NORMAL)
                aside.add(Action.TAKE, sink, taken)
                aside.add(Action.IGNORE, aside, passing)
                self._add_stops(aside)
            state.add(Action.IGNORE, aside, passing)
        return state

    def _loop(self, sink: State) -> State:
        """Make a state that takes events again and again."""
        step = self._steps[self._at]
        taken = self._taken(self._at)
        loop = self._new(self._at, Kind.NORMAL)
        loop.add(Action.PROCEED, sink)
        loop.add(Action.TAKE, loop, taken)
        self._add_following_stop(loop)
        passing = self._passing(step.inner)
        if passing is not None:
            aside = self._new(self._at, Kind.NORMAL)
            aside.add(Action.TAKE, loop, taken)
            aside.add(Action.IGNORE, aside, passing)
            loop.add(Action.IGNORE, aside, passing)
            self._add_following_stop(aside)
        return loop

    def _nots_before(self) -> list[int]:
        """Give the absences that hold while the current step waits."""
        found = []
        at = self._at
        while at and (
            self._steps[at - 1].optional or self._steps[at - 1].then is Then.NOT_FOLLOWED_BY
        ):
            at -= 1
            if self._steps[at].then is Then.NOT_FOLLOWED_BY:
                found.append(at)
        return found

    def _add_stops(self, state: State) -> None:
        for at in self._nots_before():
            state.add(Action.PROCEED, self._stop(at), self._taken(at))

    def _add_following_stop(self, state: State) -> None:
        following = self._at + 1
        if following < len(self._steps) and self._steps[following].then is Then.NOT_FOLLOWED_BY:
            state.add(Action.PROCEED, self._stop(following), self._taken(following))

    def _without_nots(self, sink: State) -> State:
        """Give a copy of the state that the absences before the current step cannot stop."""
        nots = self._nots_before()
        if not nots or not self._steps[self._at].optional:
            return sink
        copy = self._new(sink.step, sink.kind)
        for edge in sink.edges:
            target = edge.target
            if edge.action is not Action.PROCEED:
                copy.add(edge.action, copy if target is sink else target, edge.needs)
            elif target.kind is not Kind.STOP:
                copy.add(edge.action, self._without_nots(target), edge.needs)
            elif target.step not in nots:
                copy.add(edge.action, target, edge.needs)
        return copy


def _not(needs: Conjunction) -> Conjunction:
    [(predicate, wanted)] = needs
    return ((predicate, not wanted),)


def _both(first: Conjunction, second: Conjunction) -> Conjunction | None:
    """Give the conjunction without repetition; None if it can never hold."""
    merged = dict(first)
    for predicate, wanted in second:
        if merged.setdefault(predicate, wanted) is not wanted:
            return None
    return tuple(merged.items())


def _plain(needs: Conjunction) -> tuple[tuple[int, bool], ...]:
    return tuple((predicate.index, wanted) for predicate, wanted in needs)


def _flatten(state: State) -> None:
    """Follow the proceed edges and set the state's moves, in Flink's order."""
    moves = []
    depends: dict[int, None] = {}
    waiting: list[tuple[State, Conjunction]] = [(state, ())]
    while waiting:
        here, so_far = waiting.pop()
        for edge in here.edges:
            needs = _both(so_far, edge.needs)
            if needs is None:
                continue
            if edge.action is Action.PROCEED:
                waiting.append((edge.target, needs))
                continue
            takes = edge.action is Action.TAKE
            completes = _completions(edge.target) if takes else ()
            moves.append(
                Move(takes, edge.target, here.step, _plain(needs), tuple(map(_plain, completes)))
            )
            for conjunction in (needs, *completes):
                depends.update({p.index: None for p, _ in conjunction if p.steps_used})
    state.moves = tuple(moves)
    state.depends = tuple(depends)
    state.waits = _waits(state)


def _waits(state: State) -> Move | None:
    """Give the take of a state that has no other way out; all else must leave it alone."""
    if len(state.moves) != 2 or state.depends:  # noqa: PLR2004 - one take, one ignore
        return None
    take, ignore = state.moves
    if not take.takes or ignore.takes or ignore.target is not state:
        return None
    [(needed, wanted), *more] = take.needs
    plain = wanted and not more and not take.completes and take.target.kind is not Kind.STOP
    return take if plain and ignore.needs == ((needed, False),) else None


def _completions(state: State) -> tuple[Conjunction, ...]:
    """Give the conditions under which the final state is reached without another event."""
    found: list[Conjunction] = []
    waiting: list[tuple[State, Conjunction]] = [(state, ())]
    while waiting:
        here, so_far = waiting.pop()
        for edge in here.edges:
            if edge.action is not Action.PROCEED:
                continue
            needs = _both(so_far, edge.needs)
            if needs is None:
                continue
            if edge.target.kind is Kind.FINAL:
                found.append(needs)
            else:
                waiting.append((edge.target, needs))
    return tuple(found)
