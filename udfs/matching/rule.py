"""A rule inside the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from udfs.matching.result import Match
from udfs.matching.spec import RuleSpec, Skip

if TYPE_CHECKING:
    from udfs.events.event import Event
    from udfs.matching.automaton import State
    from udfs.matching.runs import Node


class CompiledRule(msgspec.Struct, frozen=True, eq=False):
    """A rule with its states.

    Args:
        index: Its position in the rule set.
        spec: What was asked for.
        structure_hash: Under which its runs are stored.
        step_names: By index.
        states: By index; number 0 is the final state, in which no run ever stands.
        start: Where every run begins.
        skips: Whether it has a skip strategy, so that its runs have to be kept in order.
        in_line: Whether it has one and its runs never branch (`udfs.matching.lines`).
        has_gaps: Whether a state has a time limit between events.
        finishing: Whether it is an older version whose runs may finish, but not begin.
    """

    index: int
    spec: RuleSpec
    structure_hash: bytes
    step_names: tuple[str, ...]
    states: tuple[State, ...]
    start: State
    skips: bool
    in_line: bool
    has_gaps: bool
    finishing: bool = False

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.spec.name

    def to_match(self, kind: str, user_id: str, at: int, node: Node) -> Match:
        """Write down what a run has taken."""
        chain = []
        link: Node | None = node
        while link is not None:
            chain.append(link)
            link = link.before
        steps: dict[str, list[Event]] = {}
        for link in reversed(chain):
            steps.setdefault(self.step_names[link.step], []).append(link.entry.value())
        spec = self.spec
        return Match(spec.name, spec.version, kind, user_id, at, steps, node.root.time)

    def prune_limit(self, node: Node) -> int | None:
        """Give the order below which runs that began there are pruned by a match, or None."""
        skip = self.spec.skip
        if skip is Skip.TO_NEXT:
            return node.root.order + 1
        if skip is Skip.PAST_LAST:
            return node.entry.order + 1
        orders = []
        link: Node | None = node
        while link is not None:
            if self.step_names[link.step] == self.spec.skip_step:
                orders.append(link.entry.order)
            link = link.before
        if not orders:
            return None
        return orders[-1] if skip is Skip.TO_FIRST else orders[0]
