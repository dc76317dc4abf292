"""How far each run of a rule came, and why it went no further.

Nothing of this is in the machine itself: the very machine that a job uses is driven event by
event with one rule, its runs before and after are compared, and conditions are asked again for
the reasons. Runs that took the same events are one run here, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.matching.automaton import Kind, State
from udfs.matching.courses import Course, Ending, Explanation
from udfs.matching.histories import Histories
from udfs.matching.judge import Judge, Refusal, told_of
from udfs.matching.machine import Machine
from udfs.matching.removal import Removal
from udfs.matching.runs import Entry, Node, Runs
from udfs.matching.turn import Turn

if TYPE_CHECKING:
    from udfs.events.event import Event
    from udfs.matching.result import Match

LATEST: Final = 3
"""Refusals that are kept of a run."""
MOST: Final = 1_000
"""Runs without a match that are told of; the rest is counted."""

_OPEN: Final = Ending("open", None, "still open")


class _Fate(msgspec.Struct):
    """What an event makes of one history, by the moves of its states alone."""

    stays: bool = False
    goes_on: bool = False
    moves: list[tuple[State, Node]] = []


class Explainer:
    """Follows the runs of one rule for one user.

    Args:
        rule: As decoded from JSON.

    Raises:
        ConfigInvalid: With all the faults of the rule.
    """

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.machine = Machine.compile([rule], default_max_runs=None, chains=False)
        self.machine.watch = None
        [self._rule] = self.machine.rules
        self._judge = Judge(self._rule, self.machine.predicates)
        self._runs = Runs()
        self._histories = Histories(self._rule.step_names)
        self._open: dict[int, Course] = {}
        self._ended: dict[int, Course] = {}
        self._left_out: dict[str, int] = {}
        self._not_begun: list[Refusal] = []
        self._not_begun_count = 0
        self._events = 0
        self._matches = 0
        self._user_id = ""

    def advance(self, event: Event, now: int) -> list[Match]:
        """Process an event; gives what `Machine.advance` gives.

        Args:
            event: What happened.
            now: The user's rule time, never below an earlier one.
        """
        self._events += 1
        self._user_id = event.user_id
        found = self.due(event.user_id, now)
        self._histories.add(event, now)
        before = self._histories.standing(self._runs)
        fates = self._foresee(before, event, now)
        overflowed = sum(self.machine.overflowed.values())
        matches = self.machine.advance(self._runs, event.user_id, event, now)
        dropped = sum(self.machine.overflowed.values()) - overflowed
        self._note_refusals(before, fates, event, now)
        removal = Removal(self._rule, self._histories, matches, dropped, now, event)
        self._settle(before, fates, removal)
        return found + matches

    def due(self, user_id: str, now: int) -> list[Match]:
        """Move the clock on without an event; gives what `Machine.due` gives."""
        before = self._histories.standing(self._runs)
        matches = self.machine.due(self._runs, user_id, now)
        if matches or len(before) != len(self._histories.standing(self._runs)):
            self._settle(before, {}, Removal(self._rule, self._histories, matches, 0, now, None))
        return matches

    def explanation(self) -> Explanation:
        """Give what there is to tell by now."""
        runs = {**self._ended}
        standing = self._histories.standing(self._runs)
        for history, course in self._open.items():
            states = standing.get(history)
            if states is None:
                ending = Ending("held", None, "complete, held back by a run that began earlier")
            else:
                course.waited_for = self._waited_for(states)
                ending = _OPEN
            runs[history] = msgspec.structs.replace(
                course, ending=ending, taken=self._histories.taken(history)
            )
        return Explanation(
            rule=self._rule.name,
            version=self._rule.spec.version,
            user_id=self._user_id,
            events=self._events,
            runs=[runs[history] for history in sorted(runs, key=self._histories.order)],
            left_out=self._left_out,
            not_begun=self._not_begun,
            not_begun_count=self._not_begun_count,
            matches=self._matches,
        )

    def _foresee(
        self, before: dict[int, list[tuple[State, Node]]], event: Event, now: int
    ) -> dict[int, _Fate]:
        """Give what the moves make of each history, those that begin now too."""
        types = self.machine.event_types
        if types is not None and event.event_type not in types:
            return {}
        turn = Turn(event, Entry(0, now, None, event), self.machine.predicates, self.machine.rules)
        fates: dict[int, _Fate] = {}
        for history, places in before.items():
            fate = fates[history] = _Fate(moves=places)
            for state, node in places:
                self._follow(turn, state, node, history, fate)
        begun: list[Node] = []
        onward = turn.follow(self._rule.start, None, begun)
        nodes = [*begun, *(node for _, node in onward)]
        for node in nodes:
            self._begin(self._histories.of_taken(0, node.step))
        if not nodes:
            refused = self._judge.refusals(self._rule.start, None, event, now)
            fitting = [refusal for refusal in refused if refusal.of_type]
            self._not_begun_count += bool(fitting)
            self._not_begun = [*self._not_begun, *fitting][-LATEST:]
        return fates

    def _follow(self, turn: Turn, state: State, node: Node, history: int, fate: _Fate) -> None:
        finished: list[Node] = []
        onward = turn.follow(state, node, finished)
        for after in (*finished, *(after for _, after in onward)):
            if after is node:
                fate.stays = True
            else:
                fate.goes_on = True
                self._begin(self._histories.of_taken(history, after.step))

    def _begin(self, history: int) -> None:
        if history not in self._open:
            self._open[history] = Course(taken=[], ending=_OPEN)

    def _note_refusals(
        self,
        before: dict[int, list[tuple[State, Node]]],
        fates: dict[int, _Fate],
        event: Event,
        now: int,
    ) -> None:
        for history, places in before.items():
            course = self._open[history]
            fate = fates.get(history)
            course.waited_for = self._waited_for(places)
            if fate is None:
                course.passed_over += 1
            if fate is None or fate.goes_on or not fate.stays:
                continue
            course.passed_over += 1
            refused = {
                (refusal.step, refusal.condition): refusal
                for state, node in places
                for refusal in self._judge.refusals(state, node, event, now)
                if refusal.of_type
            }
            course.refusals += bool(refused)
            course.refused = [*course.refused, *refused.values()][-LATEST:]

    def _settle(
        self,
        before: dict[int, list[tuple[State, Node]]],
        fates: dict[int, _Fate],
        removal: Removal,
    ) -> None:
        """End the courses that are no more."""
        self._matches += len(removal.matches)
        alive = self._histories.standing(self._runs).keys() | self._histories.held(self._runs)
        for history, course in list(self._open.items()):
            course.matches += removal.matched.get(history, ())
            course.timeouts += removal.timed_out.get(history, ())
            if history in alive:
                continue
            del self._open[history]
            fate = fates.get(history)
            if history in removal.matched:
                ending = Ending("match", course.matches[-1], "it is a match")
            elif history in removal.timed_out:
                ending = removal.ending(history, before.get(history, ()))
            elif fate is not None and fate.goes_on:
                if course.matches:
                    ending = Ending(
                        "match", course.matches[-1], "it is a match, and the front of more"
                    )
                elif course.timeouts:
                    ending = Ending("timeout", course.timeouts[-1], "its time passed in one way")
                else:
                    continue  # it is the front of a longer run now
            elif fate is not None and not fate.stays:
                ending = self._died(fate, removal)
            else:
                ending = removal.ending(history, before.get(history, ()))
            self._end(history, course, ending)

    def _end(self, history: int, course: Course, ending: Ending) -> None:
        if not course.matches and len(self._ended) >= MOST:
            self._left_out[ending.kind] = self._left_out.get(ending.kind, 0) + 1
            return
        course.ending = ending
        course.taken = self._histories.taken(history)
        self._ended[history] = course

    def _died(self, fate: _Fate, removal: Removal) -> Ending:
        """Give why an event ended a run that no move took any further."""
        event, now = removal.event, removal.now
        assert event is not None
        name = f"event {event.event_id} ({event.event_type})"
        for state, node in fate.moves:
            stop = self._judge.stops(state, node, event, now)
            if stop is not None:
                step = self._rule.step_names[stop.step]
                return Ending(
                    "stopped", now, f"{name} is {step}, which must not be: "
                    f"{self._judge.condition(stop)}",
                )  # fmt: skip
        refused = [
            refusal
            for state, node in fate.moves
            for refusal in self._judge.refusals(state, node, event, now)
        ]
        told = "; ".join(dict.fromkeys(told_of(refusal) for refusal in refused))
        why = f"{name} had to be the next step: {told}" if told else f"{name} ended it"
        return Ending("broken", now, why)

    def _waited_for(self, places: Iterable[tuple[State, Node]]) -> list[str]:
        names = self._rule.step_names
        found: dict[str, None] = {}
        for state, _ in places:
            if state.kind is Kind.PENDING:
                found["the end of the window"] = None
            for move in state.moves:
                if move.takes and move.target.kind is not Kind.STOP:
                    found[names[move.step]] = None
        return list(found)


def explain(
    rules: Sequence[Mapping[str, Any]],
    events: Iterable[Event],
    end_time: int | None = None,
) -> list[Explanation]:
    """Explain what rules make of the events of one user.

    >>> from udfs.events.event import Event
    >>> rule = {"rule": "r", "version": 1, "pattern": [
    ...     {"step": "a", "event": "view"}, {"step": "b", "event": "pay", "where": "props.n > 1"}]}
    >>> log = [Event("1", "view", "u", 10), Event("2", "pay", "u", 20, props={"n": 1})]
    >>> [found] = explain([rule], log)
    >>> [run] = found.runs
    >>> run.ending.kind, run.waited_for, run.refused[0].why, run.refused[0].values
    ('open', ['b'], 'false', {'props.n': '1'})

    Args:
        rules: See docs/rules.md.
        events: Of one user, in the order of arrival, their times not falling.
        end_time: Moves the clock on at the end, ms since the epoch.

    Raises:
        ConfigInvalid: With all the faults of the rules.
    """
    if len(rules) != 1:
        Machine.compile(rules)  # all faults at once, with the places of the list
    explainers = [Explainer(rule) for rule in rules]
    last: Event | None = None
    for event in events:
        last = event
        for explainer in explainers:
            explainer.advance(event, event.event_time)
    if last is not None and end_time is not None:
        for explainer in explainers:
            explainer.due(last.user_id, max(end_time, last.event_time))
    return [explainer.explanation() for explainer in explainers]
