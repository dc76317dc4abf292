"""Runs of a rule with a skip strategy whose runs never branch: one queue, in order of start.

Where every state does nothing but wait for one event, each event that begins a run begins one
and each run stays one. No two then began with the same event, so that the order inside Flink's
queues decides nothing (see `udfs.matching.queue`), and runs are moved on where they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.automaton import Kind
from udfs.matching.found import Found
from udfs.matching.queue import push
from udfs.matching.queues import release, trim
from udfs.matching.runs import NEVER, Node, Place, Queues, Runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from udfs.matching.automaton import State
    from udfs.matching.rule import CompiledRule
    from udfs.matching.turn import Turn

_FINAL = Kind.FINAL


def never_branch(states: Iterable[State]) -> bool:
    """Whether `step` may be used for the runs of a rule with these states."""
    resting = (Kind.NORMAL, Kind.PENDING)
    return all(
        state.waits is not None and state.gap_ms is None
        for state in states
        if state.kind in resting
    )


def step(
    runs: Runs,
    rule: CompiledRule,
    turn: Turn,
    woken: frozenset[int],
    found: list[Found],
    *,
    begins: bool,
) -> int:
    """Process an event in the runs of one rule; as `udfs.matching.queues.step`. HOT."""
    queues = runs.queues.get(rule.index)
    if queues is None:
        queues = Queues([Place(NEVER, None, None)], [])
    complete: list[Place] = []
    changed = begins
    oldest = queues.partial[0].node
    if queues.woken_by(woken):
        changed |= _move(queues, turn, woken, complete)
    if begins:
        _begin(queues, rule, turn, complete)
    if not changed:
        return 0
    dropped = 0
    if complete or queues.held:
        for place in complete:
            push(queues.held, place)
        release(rule, queues, turn.entry.time, found)
    limit = rule.spec.max_runs
    if limit is not None and len(queues.partial) - 1 + len(queues.held) > limit:
        dropped = trim(rule, queues)
        release(rule, queues, turn.entry.time, found)
    _store(runs, rule, queues, oldest)
    return dropped


def _move(queues: Queues, turn: Turn, woken: frozenset[int], complete: list[Place]) -> bool:
    """Move on the runs that wait for this event; True if there was one. HOT."""
    outcomes, entry = turn.outcomes, turn.entry
    wakes = set()
    moved = False
    for place in queues.partial:
        state, node = place.state, place.node
        if state is None or node is None:
            continue
        if state.wake in woken:
            move = state.waits
            assert move is not None
            needed = move.needs[0][0]
            outcome = outcomes.get(needed)
            if turn.ask(needed) if outcome is None else outcome:
                moved = True
                node = Node(node, move.step, entry, node.root)
                state = move.target
                if state.kind is _FINAL:
                    complete.append(Place(place.key, None, node))
                    place.state = None
                    continue
                place.state, place.node = state, node
        wakes.add(state.wake)
    queues.wakes = wakes
    if moved:
        turn.taken = True
        if complete:
            queues.partial = [
                place for place in queues.partial if place.state is not None or place.node is None
            ]
    return moved


def _begin(queues: Queues, rule: CompiledRule, turn: Turn, complete: list[Place]) -> None:
    """Begin a run with this event, behind all others and before the place of the start state."""
    entry = turn.entry
    turn.taken = True
    move = rule.start.waits
    assert move is not None
    node = Node(None, move.step, entry, entry)
    target = move.target
    if target.kind is _FINAL:
        complete.append(Place(entry.order, None, node))
        return
    queues.partial.insert(len(queues.partial) - 1, Place(entry.order, target, node))
    if queues.wakes is not None:
        queues.wakes.add(target.wake)


def expire(runs: Runs, rule: CompiledRule, now: int, found: list[Found]) -> None:
    """End the runs whose window has passed; as `udfs.matching.queues.expire`."""
    window_ms = rule.spec.within_ms
    queues = runs.queues[rule.index]
    oldest = queues.partial[0].node
    if window_ms is None or oldest is None or oldest.root.time + window_ms > now:
        return
    while True:
        node = queues.partial[0].node
        if node is None or node.root.time + window_ms > now:
            break
        began = node.root.time
        count = 0
        while node is not None and node.root.time == began:
            if rule.spec.timeouts:
                found.append(Found(rule, node, began + window_ms, "timeout"))
            count += 1
            node = queues.partial[count].node
        del queues.partial[:count]
        release(rule, queues, began + window_ms, found)
    _store(runs, rule, queues, oldest)


def _store(runs: Runs, rule: CompiledRule, queues: Queues, oldest: Node | None) -> None:
    """Keep what is left, and see to the deadline if another run is the oldest now."""
    runs.dirty = runs.changed = True
    node = queues.partial[0].node
    if node is None and not queues.held:
        if runs.queues.pop(rule.index, None) is not None:
            runs.deadline_exact = False
        return
    runs.queues[rule.index] = queues
    window_ms = rule.spec.within_ms
    if window_ms is None:
        return
    if oldest is not None and (node is None or node.root is not oldest.root):
        runs.deadline_exact = False
    if node is not None:
        deadline = node.root.time + window_ms
        if runs.deadline is None or deadline < runs.deadline:
            runs.deadline = deadline
