"""Runs of rules with a skip strategy: a match prunes others and may be held back.

A finished match leaves only when no run of the rule that began earlier is alive: that run
might still finish and prune it. The runs are kept in the order of Flink's queues (see
`udfs.matching.queue`), the start state among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.automaton import Kind, State
from udfs.matching.found import Found
from udfs.matching.queue import pop, prune, push
from udfs.matching.runs import NEVER, Node, Place, Queues, Runs, deadline_of

if TYPE_CHECKING:
    from udfs.matching.rule import CompiledRule
    from udfs.matching.turn import Turn


def step(
    runs: Runs,
    rule: CompiledRule,
    turn: Turn,
    woken: frozenset[int],
    found: list[Found],
    *,
    begins: bool,
) -> int:
    """Process an event in the runs of one rule.

    Args:
        runs: Of the user; changed in place.
        rule: With a skip strategy.
        turn: The event.
        woken: Wake numbers of states that an event of this type can change.
        found: Gets the matches.
        begins: Whether a run may begin with this event.

    Returns:
        Partial matches dropped because there were too many.
    """
    queues = runs.queues.get(rule.index) or Queues([Place(NEVER, None, None)], [])
    if not begins and not queues.woken_by(woken):
        return 0
    places = queues.partial
    same = _same(places, woken, begins=begins)
    # Adding a queue's elements to an empty one in their order gives the same queue again.
    partial = places[:same]
    complete: list[Place] = []
    changed = False
    for place in places[same:]:
        if place.state is None:
            if begins:
                changed |= _follow(turn, rule.start, None, partial, complete)
            push(partial, place)
        elif place.state.wake not in woken:
            push(partial, place)
        else:
            changed |= _follow(turn, place.state, place, partial, complete)
    if not changed and not complete:
        return 0
    queues = Queues(partial, queues.held)
    for place in complete:
        push(queues.held, place)
    release(rule, queues, turn.entry.time, found)
    dropped = trim(rule, queues)
    if dropped:
        release(rule, queues, turn.entry.time, found)
    _store(runs, rule, queues)
    return dropped


def _same(places: list[Place], woken: frozenset[int], *, begins: bool) -> int:
    """How many places in front the event does not concern. HOT."""
    count = 0
    for place in places:
        state = place.state
        if begins if state is None else state.wake in woken:
            break
        count += 1
    return count


def _follow(
    turn: Turn, state: State, place: Place | None, partial: list[Place], complete: list[Place]
) -> bool:
    """Queue what becomes of one run, None for the start; True if it does not stay as it is."""
    node = None if place is None else place.node
    finished: list[Node] = []
    onward = turn.follow(state, node, finished)
    for after in finished:
        push(complete, Place(after.root.order, None, after))
    if place is not None and len(onward) == 1 and onward[0] == (state, node):
        push(partial, place)
        return False
    for target, after in onward:
        push(partial, Place(after.root.order, target, after))
    return place is not None or bool(onward)


def expire(runs: Runs, rule: CompiledRule, now: int, found: list[Found], settled: int = 0) -> None:
    """End the runs of one rule whose time has passed, deadline by deadline.

    Args:
        runs: Of the user; changed in place.
        rule: With a skip strategy.
        now: The user's rule time, ms.
        found: Gets absences, time-outs and the matches that they held back.
        settled: Deadlines up to here count as one.
    """
    queues = runs.queues[rule.index]
    while True:
        deadline = first_deadline(rule, queues)
        if deadline is None or deadline > now:
            break
        deadline = max(deadline, settled)
        partial: list[Place] = []
        complete: list[Place] = []
        for place in queues.partial:
            end = _deadline(place)
            if place.state is None or place.node is None or end is None or end > deadline:
                push(partial, place)
            elif place.state.kind is Kind.PENDING:
                push(complete, Place(place.key, None, place.node))
            elif rule.spec.timeouts:
                found.append(Found(rule, place.node, end, "timeout"))
        queues = Queues(partial, queues.held)
        for place in complete:
            push(queues.held, place)
        release(rule, queues, deadline, found)
        _store(runs, rule, queues)


def release(rule: CompiledRule, queues: Queues, at: int, found: list[Found]) -> None:
    """Let the finished matches go that nothing earlier holds back; each prunes the rest."""
    while queues.held and queues.held[0].key <= queues.partial[0].key:
        node = pop(queues.held).node
        assert node is not None
        limit = rule.prune_limit(node)
        if limit is not None:
            prune(queues.partial, limit)
            prune(queues.held, limit)
        found.append(Found(rule, node, at, "match"))


def trim(rule: CompiledRule, queues: Queues) -> int:
    """Drop the partial and held-back matches that are too many.

    Returns:
        How many.
    """
    limit = rule.spec.max_runs
    if limit is None:
        return 0
    excess = len(queues.partial) - 1 + len(queues.held) - limit
    if excess <= 0:
        return 0
    places = [place for place in (*queues.partial, *queues.held) if place.node is not None]
    places.sort(key=lambda place: place.key, reverse=not rule.spec.drop_oldest)
    for place in places[:excess]:
        queue = queues.partial if place.state is not None else queues.held
        kept = [other for other in queue if other is not place]
        queue.clear()
        for other in kept:
            push(queue, other)
    return excess


def _store(runs: Runs, rule: CompiledRule, queues: Queues) -> None:
    runs.dirty = runs.changed = True
    runs.deadline_exact = False
    if len(queues.partial) == 1 and not queues.held:
        runs.queues.pop(rule.index, None)
        return
    runs.queues[rule.index] = queues
    deadline = first_deadline(rule, queues)
    if deadline is not None and (runs.deadline is None or deadline < runs.deadline):
        runs.deadline = deadline


def first_deadline(rule: CompiledRule, queues: Queues) -> int | None:
    """When the first time limit of the rule's runs ends, ms; None for never. HOT."""
    if not rule.has_gaps:
        # One window for all: that of the run that began first ends first.
        window_ms = rule.spec.within_ms
        node = queues.partial[0].node
        return None if window_ms is None or node is None else node.root.time + window_ms
    ends = [end for place in queues.partial if (end := _deadline(place)) is not None]
    return min(ends, default=None)


def _deadline(place: Place) -> int | None:
    if place.state is None or place.node is None:
        return None
    return deadline_of(place.state, place.node)
