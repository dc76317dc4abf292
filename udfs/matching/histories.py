"""Numbers for what runs have taken: equal numbers, equal events in equal steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.courses import Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import State
    from udfs.matching.result import Match
    from udfs.matching.runs import Node, Runs


class Histories:
    """The histories of the runs of one rule and user; 0 is the empty one.

    Args:
        step_names: Of the rule, by index.
    """

    def __init__(self, step_names: Sequence[str]) -> None:
        self._step_names = step_names
        self._numbers: dict[tuple[int, int, str], int] = {}
        self._links: list[tuple[int, int, Taken]] = []
        """By number less 1: the history before, the position of the event, and what was taken."""
        self._positions: dict[int, int] = {}
        """By identity of the event; what was freed is named anew by `add`."""
        self._position = -1
        self._event: Event | None = None
        self._now = 0
        self._nodes: dict[int, tuple[Node, int]] = {}
        """Histories of the nodes that runs hold, by identity."""

    def add(self, event: Event, now: int) -> None:
        """Note that an event comes, which may be taken from now on."""
        self._position += 1
        self._positions[id(event)] = self._position
        self._event, self._now = event, now

    def of_taken(self, before: int, step: int) -> int:
        """Give the history that takes the present event, too."""
        assert self._event is not None
        return self._numbered(before, self._position, self._step_names[step])

    def standing(self, runs: Runs) -> dict[int, list[tuple[State, Node]]]:
        """Give the runs by history: where they stand."""
        found: dict[int, list[tuple[State, Node]]] = {}
        nodes: dict[int, tuple[Node, int]] = {}
        for bucket in runs.buckets.values():
            for run in bucket:
                history = self._of(run.node, nodes)
                found.setdefault(history, []).append((run.state, run.node))
        for queues in runs.queues.values():
            for place in queues.partial:
                if place.state is not None and place.node is not None:
                    history = self._of(place.node, nodes)
                    found.setdefault(history, []).append((place.state, place.node))
            for place in queues.held:
                if place.node is not None:
                    self._of(place.node, nodes)
        self._nodes = nodes
        return found

    def held(self, runs: Runs) -> set[int]:
        """Give the histories of matches that are held back."""
        nodes = dict(self._nodes)
        return {
            self._of(place.node, nodes)
            for queues in runs.queues.values()
            for place in queues.held
            if place.node is not None
        }

    def of_match(self, match: Match) -> int:
        """Give the history of a match."""
        links = sorted(
            (self._positions[id(event)], name)
            for name, events in match.steps.items()
            for event in events
        )
        history = 0
        for position, name in links:
            history = self._numbers[history, position, name]
        return history

    def taken(self, history: int) -> list[Taken]:
        """Give what a history took, the first first."""
        found = []
        while history:
            history, _, taken = self._links[history - 1]
            found.append(taken)
        found.reverse()
        return found

    def positions(self, history: int) -> list[tuple[int, str]]:
        """Give position and step of what a history took, the first first."""
        found = []
        while history:
            history, position, taken = self._links[history - 1]
            found.append((position, taken.step))
        found.reverse()
        return found

    def order(self, history: int) -> list[tuple[int, str]]:
        """Give what to sort histories by: the one that began first is the first."""
        return self.positions(history)

    def _numbered(self, before: int, position: int, step: str) -> int:
        key = (before, position, step)
        number = self._numbers.get(key)
        if number is None:
            event = self._event
            assert event is not None
            number = self._numbers[key] = len(self._links) + 1
            taken = Taken(step, event.event_id, event.event_type, self._now)
            self._links.append((before, position, taken))
        return number

    def _of(self, node: Node, nodes: dict[int, tuple[Node, int]]) -> int:
        """Give the history of a node; `nodes` gets what is worth knowing next time."""
        known = nodes.get(id(node)) or self._nodes.get(id(node))
        if known is None:
            waiting = [node]
            link = node.before
            history = 0
            while link is not None:
                before = nodes.get(id(link)) or self._nodes.get(id(link))
                if before is not None:
                    history = before[1]
                    break
                waiting.append(link)
                link = link.before
            for link in reversed(waiting):
                position = self._positions[id(link.entry.event)]
                history = self._numbered(history, position, self._step_names[link.step])
            known = node, history
        nodes[id(node)] = known
        return known[1]
