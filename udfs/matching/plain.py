"""Runs of rules without a skip strategy: they do not know of each other."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from udfs.matching.automaton import Kind, State
from udfs.matching.found import Found, chain
from udfs.matching.runs import Node, Run, Runs, deadline_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from udfs.matching.rule import CompiledRule
    from udfs.matching.turn import Turn

_FINAL = Kind.FINAL


def step(  # noqa: C901 - one loop, because it is hot
    runs: Runs, turn: Turn, touched: Iterable[int], found: list[Found]
) -> list[tuple[State, Node]]:
    """Process an event in the buckets that it may change. HOT.

    Args:
        runs: Changed in place.
        turn: The event.
        touched: Buckets, by wake number.
        found: Gets the matches.

    Returns:
        Runs that came out elsewhere than where they stood, not filed yet.
    """
    born: list[tuple[State, Node]] = []
    outcomes, entry = turn.outcomes, turn.entry
    for number in touched:
        bucket = runs.buckets[number]
        kept: list[Run] | None = None
        for position, run in enumerate(bucket):
            state = run.state
            move = state.waits
            before = len(born)
            if move is None:
                stays = _follow(turn, run, born, found)
            else:
                # The common case by far, without the general machinery.
                needed = move.needs[0][0]
                outcome = outcomes.get(needed)
                stays = not (turn.ask(needed) if outcome is None else outcome)
                if not stays:
                    turn.taken = True
                    node = Node(run.node, move.step, entry, run.node.root)
                    if move.target.kind is _FINAL:
                        found.append(Found(turn.rules[state.rule], node, entry.time, "match"))
                    else:
                        born.append((move.target, node))
            if not stays:
                if kept is None:
                    kept = bucket[:position]
                _forget(runs, state.rule)
                if len(born) == before or state.gap_ms is not None:
                    runs.deadline_exact = False
            elif kept is not None:
                kept.append(run)
        if kept is not None:
            _replace(runs, number, kept)
    return born


def _follow(turn: Turn, run: Run, born: list[tuple[State, Node]], found: list[Found]) -> bool:
    """Note what becomes of a run; True if it stays as it is."""
    state, node = run.state, run.node
    finished: list[Node] = []
    stays = False
    for successor in turn.follow(state, node, finished):
        if successor[0] is state and successor[1] is node and not stays:
            stays = True
        else:
            born.append(successor)
    if finished:
        rule, at = turn.rules[state.rule], turn.entry.time
        found += [Found(rule, done, at, "match") for done in finished]
    return stays


def begin(turn: Turn, rule: CompiledRule, found: list[Found]) -> list[tuple[State, Node]]:
    """Give the runs that an event begins in a rule, not filed yet; matches go to `found`."""
    entry = turn.entry
    move = rule.start.waits
    if move is not None:
        turn.taken = True
        node = Node(None, move.step, entry, entry)
        if move.target.kind is not _FINAL:
            return [(move.target, node)]
        found.append(Found(rule, node, entry.time, "match"))
        return []
    finished: list[Node] = []
    born = turn.follow(rule.start, None, finished)
    found += [Found(rule, node, entry.time, "match") for node in finished]
    return born


def file(runs: Runs, born: list[tuple[State, Node]], rules: Sequence[CompiledRule]) -> list[int]:
    """Put runs where the events find them that can change them.

    Returns:
        Rules (by index) that have more runs than they may.
    """
    over: dict[int, None] = {}
    runs.dirty = runs.changed = True
    for state, node in born:
        bucket = runs.buckets.get(state.wake)
        if bucket is None:
            runs.buckets[state.wake] = [Run(state, node)]
        else:
            bucket.append(Run(state, node))
        if state.window_ms is not None or state.gap_ms is not None:
            deadline = deadline_of(state, node)
            if deadline is not None and (runs.deadline is None or deadline < runs.deadline):
                runs.deadline = deadline
        limit = rules[state.rule].spec.max_runs
        if limit is not None:
            count = runs.counts.get(state.rule, 0) + 1
            runs.counts[state.rule] = count
            if count > limit:
                over[state.rule] = None
    return list(over)


def trim(runs: Runs, rule: CompiledRule) -> int:
    """Drop the runs that are too many, by start and then by what they took.

    Returns:
        How many.
    """
    limit = rule.spec.max_runs
    assert limit is not None
    excess = runs.counts[rule.index] - limit
    its_runs = [
        run for bucket in runs.buckets.values() for run in bucket if run.state.rule == rule.index
    ]
    choose = heapq.nsmallest if rule.spec.drop_oldest else heapq.nlargest
    dropped = {id(run) for run in choose(excess, its_runs, key=_age)}
    for number, bucket in list(runs.buckets.items()):
        kept = [run for run in bucket if id(run) not in dropped]
        if len(kept) < len(bucket):
            _replace(runs, number, kept)
    runs.deadline_exact = False
    runs.counts[rule.index] = limit
    return excess


def _age(run: Run) -> tuple[list[tuple[int, int]], int]:
    return chain(run.node), run.state.index


def expire(
    runs: Runs, rules: Sequence[CompiledRule], now: int, found: list[Found], settled: int = 0
) -> None:
    """End the runs whose time has passed.

    Args:
        runs: Changed in place.
        rules: By index.
        now: The user's rule time, ms.
        found: Gets absences and time-outs.
        settled: No absence is told earlier.
    """
    for number, bucket in list(runs.buckets.items()):
        kept = []
        for run in bucket:
            state = run.state
            deadline = deadline_of(state, run.node)
            if deadline is None or now < deadline:
                kept.append(run)
                continue
            rule = rules[state.rule]
            if state.kind is Kind.PENDING:
                found.append(Found(rule, run.node, max(deadline, settled), "match"))
            elif rule.spec.timeouts:
                found.append(Found(rule, run.node, deadline, "timeout"))
            _forget(runs, state.rule)
        if len(kept) < len(bucket):
            _replace(runs, number, kept)


def _replace(runs: Runs, number: int, kept: list[Run]) -> None:
    runs.dirty = runs.changed = True
    if kept:
        runs.buckets[number] = kept
    else:
        del runs.buckets[number]


def _forget(runs: Runs, rule: int) -> None:
    count = runs.counts.get(rule)
    if count is not None:
        if count > 1:
            runs.counts[rule] = count - 1
        else:
            del runs.counts[rule]
