"""What a chain is: a rule that is a plain sequence, and a match of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from udfs.matching.automaton import Kind
from udfs.matching.found import Found
from udfs.matching.result import Match
from udfs.matching.runs import Entry, Node
from udfs.matching.spec import Skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import Move, State
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule

LONGEST: Final = 16
"""Events of a chain; longer rules are run one by one."""

MOST: Final = 8_192
"""Positions of a rule set: bits for each, and for each number compared with, take up to 50 MB."""


class Step(msgspec.Struct, frozen=True, eq=False):
    """A step of a chain.

    Args:
        number: Of the step in the rule.
        places: Number of its predicate among those of a kind, by number of the kind of event.
        kind: The kind, if there is but one, else -1.
        bit: The number for it.
    """

    number: int
    places: dict[int, int]
    kind: int
    bit: int


class Chain(msgspec.Struct, frozen=True, eq=False):
    """A rule that is a chain.

    Args:
        rule: The rule.
        steps: What it takes, in order.
        states: Where a run stands that has taken so many steps.
        within_ms: Its window.
        past_last: Whether a match ends all runs, those that the same event begins too.
        bits: Its positions.
        front: All steps but the last.
        names: Names of the steps.
        repeats: Whether a step is taken more than once.
        number: Its first position.
    """

    rule: CompiledRule
    steps: tuple[Step, ...]
    states: tuple[State, ...]
    within_ms: int
    past_last: bool
    bits: int
    front: tuple[Step, ...]
    names: tuple[str, ...]
    repeats: bool
    number: int


class Taken(msgspec.Struct, gc=False, eq=False):
    """A match of a chain.

    Args:
        chain: Whose.
        entries: What each step has taken.
    """

    chain: Chain
    entries: list[Entry]

    def to_match(self, user_id: str) -> Match:
        """Write it down. HOT."""
        chain, entries = self.chain, self.entries
        spec = chain.rule.spec
        if chain.repeats:
            steps: dict[str, list[Event]] = {}
            for name, entry in zip(chain.names, entries, strict=True):
                steps.setdefault(name, []).append(entry.value())
        else:
            steps = {
                name: [entry.event or entry.value()]
                for name, entry in zip(chain.names, entries, strict=True)
            }
        return Match(
            spec.name, spec.version, "match", user_id, entries[-1].time, steps, entries[0].time
        )

    def to_found(self) -> Found:
        """Give it as the other rules' matches are."""
        first = self.entries[0]
        node: Node | None = None
        for step, entry in zip(self.chain.steps, self.entries, strict=True):
            node = Node(node, step.number, entry, first)
        assert node is not None
        return Found(self.chain.rule, node, node.entry.time, "match")


def is_chain(rule: CompiledRule, table: Sequence[Predicate]) -> bool:
    """Whether the runs of a rule follow from the events alone, as this module needs it.

    Args:
        rule: The rule.
        table: The predicates of the machine, by index.
    """
    spec = rule.spec
    if rule.finishing or spec.timeouts or spec.within_ms is None:
        return False
    if spec.skip not in (Skip.NONE, Skip.TO_NEXT, Skip.PAST_LAST):
        return False
    moves = path(rule)[0]
    return 1 < len(moves) <= LONGEST and all(
        len(move.needs) == 1 and not table[move.needs[0][0]].of_run for move in moves
    )


def chains_of(rules: Iterable[CompiledRule], table: Sequence[Predicate]) -> list[CompiledRule]:
    """Give the rules that are chains, as many as there is room for.

    Args:
        rules: All rules.
        table: The predicates of the machine, by index.
    """
    found, room = [], MOST
    for rule in rules:
        if is_chain(rule, table):
            room -= len(path(rule)[0]) - 1
            if room < 0:
                break
            found.append(rule)
    return found


def path(rule: CompiledRule) -> tuple[list[Move], tuple[State, ...]]:
    """Give the moves of a rule whose states only wait, and the states; no moves for others."""
    moves: list[Move] = []
    states = []
    state = rule.start
    while state.kind is not Kind.FINAL:
        move = state.waits
        if (
            move is None
            or state.gap_ms is not None
            or state.kind is not Kind.NORMAL
            or state in states
        ):
            return [], ()
        states.append(state)
        moves.append(move)
        state = move.target
    return moves, tuple(states)
