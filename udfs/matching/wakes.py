"""Which events can change anything: the index that spares runs and rules a visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from udfs.expressions.ladder import Ladder
from udfs.matching.automaton import Kind
from udfs.matching.ladders import Start, Starts, ladders_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from udfs.matching.automaton import State
    from udfs.matching.predicates import Predicate
    from udfs.slices import Work


class Beginnings(msgspec.Struct, frozen=True):
    """What may begin with an event of one type.

    Args:
        starts: Everything.
        ladders: Comparisons of a property with numbers.
        others: What no ladder has.
    """

    starts: Starts
    ladders: tuple[Ladder[Start], ...]
    others: Starts


class Wakes(msgspec.Struct, frozen=True):
    """By event type: what has to be looked at.

    Args:
        starts: For the types that rules name.
        starts_other: For all others.
        buckets: For the types that rules name: the wake numbers of states they can change.
        buckets_other: For all others.
    """

    starts: dict[str, Beginnings]
    starts_other: Beginnings
    buckets: dict[str, frozenset[int]]
    buckets_other: frozenset[int]

    @property
    def event_types(self) -> frozenset[str] | None:
        """Types that can change anything at all; None for all."""
        return None if self.starts_other.starts or self.buckets_other else frozenset(self.starts)


def index(
    starts: Sequence[State],
    table: Sequence[Predicate],
    current: int,
    elsewhere: Collection[int] = (),
) -> Work[Wakes]:
    """Number what wakes each state (sets `State.wake`) and give the index, a state at a time.

    Args:
        starts: The start states, in rule order.
        table: The predicates, by index.
        current: Of so many rules runs may begin.
        elsewhere: Rules (by index) whose beginnings somebody else sees to.
    """
    types = sorted({name for predicate in table for name in predicate.types or ()})
    every: list[str | None] = [*types, None]
    may_hold = _may_hold(table, every)
    numbers: dict[frozenset[str | None], int] = {}
    relevant_types: dict[tuple[object, ...], frozenset[str | None]] = {}
    for state in _resting_places(starts):
        named = sorted(_named(state, table))
        shape = (*_shape(state), *named)
        wakers = relevant_types.get(shape)
        if wakers is None:
            # Types that the state's own predicates do not name are all alike to it.
            others = not _idle(state, may_hold[None])
            wakers = frozenset(
                name
                for name in every
                if (not _idle(state, may_hold[name]) if name in named else others)
            )
            relevant_types[shape] = wakers
        state.wake = numbers.setdefault(wakers, len(numbers))
        yield
    by_type = {
        name: frozenset(number for wakers, number in numbers.items() if name in wakers)
        for name in every
    }
    begun_here = [state for state in starts[:current] if state.rule not in elsewhere]
    begin = {}
    for name in every:
        begin[name] = _beginnings(_starts(begun_here, table, name), table)
        yield
    return Wakes(
        starts={name: begin[name] for name in types},
        starts_other=begin[None],
        buckets={name: by_type[name] for name in types},
        buckets_other=by_type[None],
    )


def _may_hold(
    table: Sequence[Predicate], every: Iterable[str | None]
) -> dict[str | None, frozenset[int]]:
    """Give the predicates (by index) that an event of a type can fulfil, by type."""
    of_all = [predicate.index for predicate in table if predicate.types is None]
    found: dict[str | None, list[int]] = {name: [*of_all] for name in every}
    for predicate in table:
        for name in predicate.types or ():
            found[name].append(predicate.index)
    return {name: frozenset(indexes) for name, indexes in found.items()}


def _beginnings(starts: Starts, table: Sequence[Predicate]) -> Beginnings:
    ladders, others = ladders_of(starts, table)
    return Beginnings(starts, ladders, others)


def _resting_places(starts: Iterable[State]) -> Iterable[State]:
    """Give the states in which a run can stand between events."""
    seen: dict[State, None] = {}
    waiting = list(starts)
    while waiting:
        for move in waiting.pop().moves:
            if move.target.kind in (Kind.NORMAL, Kind.PENDING) and move.target not in seen:
                seen[move.target] = None
                waiting.append(move.target)
    return seen


def _named(state: State, table: Sequence[Predicate]) -> set[str]:
    return {
        name
        for move in state.moves
        for needed, _ in move.needs
        for name in table[needed].types or ()
    }


def _shape(state: State) -> tuple[object, ...]:
    return tuple((move.takes, move.target is state, move.needs) for move in state.moves)


def _idle(state: State, may_hold: frozenset[int]) -> bool:
    """Whether a run that stands here surely stays as it is, whatever the event says."""
    possible = [
        move
        for move in state.moves
        if all(needed in may_hold or not wanted for needed, wanted in move.needs)
    ]
    if len(possible) != 1:
        return False
    [move] = possible
    certain = not any(needed in may_hold for needed, _ in move.needs)
    return certain and not move.takes and move.target is state


def _starts(starts: Iterable[State], table: Sequence[Predicate], name: str | None) -> Starts:
    rules: dict[int, dict[int, None]] = {}
    for state in starts:
        for move in state.moves:
            if not move.takes:
                continue
            if any(wanted and not table[needed].may_hold(name) for needed, wanted in move.needs):
                continue
            # A take always needs its own step's predicate; asking one is enough to skip a rule.
            needed = next(needed for needed, wanted in move.needs if wanted)
            rules.setdefault(needed, {})[state.rule] = None
    return tuple((needed, tuple(found)) for needed, found in rules.items())
