"""Following the proceed edges at compile time."""

from __future__ import annotations

from typing import Final

from udfs.matching.automaton import Action, Kind, Move, State
from udfs.matching.logic import Conjunction, join

MAX_MOVES: Final = 2_000
"""Ways out of one state: nested optional groups double them, and Flink would try each."""


class TooManyMovesError(Exception):
    """A pattern in which one event could be read in too many ways."""


def flatten(state: State, completions: dict[State, tuple[Conjunction, ...]]) -> None:
    """Follow the proceed edges and set the state's moves, in Flink's order.

    Args:
        state: The state.
        completions: What was found for states that are the target of a take; grows.

    Raises:
        TooManyMovesError: There are more than `MAX_MOVES`.
    """
    moves: list[Move] = []
    depends: dict[int, None] = {}
    waiting: list[tuple[State, Conjunction]] = [(state, ())]
    visits = 0
    while waiting:
        visits += 1
        if visits > MAX_MOVES:
            raise TooManyMovesError
        here, so_far = waiting.pop()
        for action, target, needs in _ways(here, so_far):
            if action is Action.PROCEED:
                waiting.append((target, needs))
                continue
            takes = action is Action.TAKE
            completes: tuple[Conjunction, ...] = ()
            if takes:
                if target not in completions:
                    completions[target] = _completions(target)
                completes = completions[target]
            moves.append(
                Move(takes, target, here.step, _plain(needs), tuple(map(_plain, completes)))
            )
            for conjunction in (needs, *completes):
                depends.update({p.index: None for p, _ in conjunction if p.of_run})
    state.moves = tuple(moves)
    state.depends = tuple(depends)
    state.waits = _waits(state)


def _ways(state: State, so_far: Conjunction) -> list[tuple[Action, State, Conjunction]]:
    found = []
    for edge in state.edges:
        for alternative in edge.needs:
            needs = join(so_far, alternative)
            if needs is not None:
                found.append((edge.action, edge.target, needs))
    return found


def _plain(needs: Conjunction) -> tuple[tuple[int, bool], ...]:
    return tuple((predicate.index, wanted) for predicate, wanted in needs)


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
    visits = 0
    while waiting:
        visits += 1
        if visits > MAX_MOVES:
            raise TooManyMovesError
        here, so_far = waiting.pop()
        for action, target, needs in _ways(here, so_far):
            if action is not Action.PROCEED:
                continue
            if target.kind is Kind.FINAL:
                found.append(needs)
            else:
                waiting.append((target, needs))
    return tuple(found)
