"""One event of one user against the states of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.automaton import Kind, State
from udfs.matching.runs import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.events.event import Event
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule

_STOP = Kind.STOP
_FINAL = Kind.FINAL


class Turn:
    """An event on its way through the runs of its user; every predicate is asked once.

    Args:
        event: The event.
        entry: Its place in the table of taken events.
        predicates: Those of the machine.
        rules: Those of the machine.
    """

    __slots__ = ("_predicates", "entry", "event", "outcomes", "rules", "taken")

    def __init__(
        self,
        event: Event,
        entry: Entry,
        predicates: Sequence[Predicate],
        rules: Sequence[CompiledRule],
    ) -> None:
        self.event = event
        self.entry = entry
        self.taken = False
        self._predicates = predicates
        self.rules = rules
        self.outcomes: dict[int, bool] = {}
        """By predicate, as far as asked; those that depend on a run only for that run."""

    def ask(self, index: int) -> bool:
        """Whether a predicate holds that reads no steps, or for a run not begun. HOT."""
        predicate = self._predicates[index]
        if predicate.of_run:
            return self._test(predicate, {step: [] for step in predicate.steps_used})
        outcome = self.outcomes[index] = self._test(predicate, None)
        return outcome

    def follow(  # noqa: C901 - one loop, because it is hot
        self, state: State, node: Node | None, finished: list[Node]
    ) -> list[tuple[State, Node]]:
        """Give where a run goes from here. HOT.

        Args:
            state: Where it stands.
            node: What it has taken, None in the start state.
            finished: Gets what makes a match.
        """
        onward: list[tuple[State, Node]] = []
        stopped = False
        if state.depends:
            for index in state.depends:
                self.outcomes.pop(index, None)
        for move in state.moves:
            if move.needs and not self._hold(move.needs, state, node):
                continue
            target = move.target
            if move.takes:
                if target.kind is _STOP:
                    stopped = True
                    continue
                entry = self.entry
                self.taken = True
                after = Node(node, move.step, entry, entry if node is None else node.root)
                if target.kind is _FINAL:
                    finished.append(after)
                    continue
                onward.append((target, after))
                for needs in move.completes:
                    if self._hold(needs, state, node):
                        finished.append(after)
                        break
            elif node is not None:
                if target.kind is _FINAL:
                    finished.append(node)
                else:
                    onward.append((target, node))
        return [] if stopped else onward

    def _hold(self, needs: tuple[tuple[int, bool], ...], state: State, node: Node | None) -> bool:
        outcomes = self.outcomes
        for index, wanted in needs:
            outcome = outcomes.get(index)
            if outcome is None:
                predicate = self._predicates[index]
                outcome = outcomes[index] = self._ask_for(predicate, state, node)
            if outcome is not wanted:
                return False
        return True

    def _ask_for(self, predicate: Predicate, state: State, node: Node | None) -> bool:
        if predicate.gap and node is not None and self._too_early(predicate.gap, node):
            return False
        steps = self._steps(predicate, state, node) if predicate.steps_used else None
        return self._test(predicate, steps)

    def _test(self, predicate: Predicate, steps: dict[str, list[Event]] | None) -> bool:
        event = self.event
        if predicate.types is not None and event.event_type not in predicate.types:
            return False
        return predicate.condition is None or predicate.condition(event, steps, None)

    def _too_early(self, gap: tuple[int, int], node: Node) -> bool:
        """Whether the last event of another step lies back less than the gap."""
        step, least_ms = gap
        link: Node | None = node
        while link is not None and link.step == step:
            link = link.before
        return link is not None and self.entry.time - link.entry.time < least_ms

    def _steps(
        self, predicate: Predicate, state: State, node: Node | None
    ) -> dict[str, list[Event]]:
        """Give the events that the run has taken, by the steps which the predicate reads."""
        steps: dict[str, list[Event]] = {name: [] for name in predicate.steps_used}
        names = self.rules[state.rule].step_names
        while node is not None:
            events = steps.get(names[node.step])
            if events is not None:
                events.append(node.entry.value())
            node = node.before
        for events in steps.values():
            events.reverse()
        return steps
