"""From chains to runs that are kept one by one, where the shared bits do not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching import chain_codec
from udfs.matching.chain import path
from udfs.matching.chain_making import making
from udfs.matching.chains import runs_of
from udfs.matching.runs import NEVER, Place, Queues, Run, Runs
from udfs.slices import finish

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from udfs.matching.automaton import State
    from udfs.matching.chain import Chain
    from udfs.matching.chain_state import Chains, Section
    from udfs.matching.chains import ChainIndex
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Entry, Node


def keep_one_by_one(runs: Runs, rule: CompiledRule, found: Iterable[tuple[State, Node]]) -> None:
    """File runs of a rule that has none filed yet.

    Args:
        runs: Changed in place.
        rule: Whose.
        found: State and what was taken of each run, the oldest first.
    """
    runs.deadline_exact = False
    runs.dirty = runs.changed = True
    places = list(found)
    if not places:
        return
    if rule.skips:
        partial = [Place(node.root.order, state, node) for state, node in places]
        runs.queues[rule.index] = Queues([*partial, Place(NEVER, None, None)], [])
        return
    for state, node in places:
        runs.buckets.setdefault(state.wake, []).append(Run(state, node))
    if rule.spec.max_runs is not None:
        runs.counts[rule.index] = len(places)


def unburden(runs: Runs, index: ChainIndex, now: int) -> None:
    """Keep the runs of those chains one by one that may soon have too many.

    Args:
        runs: Opened; changed in place.
        index: The chains.
        now: Rule time, ms.
    """
    chains = runs.chains
    assert chains is not None
    for number in index.crowded(chains):
        chain = index.chains[number]
        keep_one_by_one(runs, chain.rule, list(runs_of(chains, chain, chain.states, now)))
        chains.eager |= chain.bits
        chains.waiting &= ~chain.bits


def tidy(runs: Runs, index: ChainIndex, now: int) -> None:
    """Forget events that no chain needs, and let those be chains again that have no runs.

    Args:
        runs: Opened; changed in place.
        index: The chains.
        now: Rule time, ms.
    """
    chains = runs.chains
    assert chains is not None
    runs.dirty = runs.changed = True
    runs.deadline_exact = False
    index.tidy(chains, now)
    if chains.eager:
        used = {run.state.rule for bucket in runs.buckets.values() for run in bucket}
        used.update(runs.queues)
        for number in index.numbers_of(chains.eager):
            chain = index.chains[number]
            if chain.rule.index not in used:
                chains.eager &= ~chain.bits
                chains.floors[number] = runs.next_order - 1
        if not chains.count:
            chains.check_at = now + index.longest_ms
        index.fit(chains)
    if not chains.waiting and not chains.eager:
        runs.chains = None


def mark_eager(runs: Runs, index: ChainIndex) -> None:
    """Note which chains came with runs that are kept one by one.

    Args:
        runs: Opened; changed in place.
        index: The chains.
    """
    newest: dict[int, int] = {}
    kept = [(run.state.rule, run.node) for bucket in runs.buckets.values() for run in bucket]
    for number, queues in runs.queues.items():
        places = (*queues.partial, *queues.held)
        kept += [(number, place.node) for place in places if place.node is not None]
    for number, node in kept:
        newest[number] = max(newest.get(number, 0), node.entry.time)
    for chain in index.chains.values():
        if chain.rule.index in newest:
            chains = runs.chains
            if chains is None:
                chains = runs.chains = index.nothing()
            chains.eager |= chain.bits
            last = newest[chain.rule.index] + index.longest_ms
            chains.check_at = max(chains.check_at, last)


def leave(
    runs: Runs, chains: Chains, left: Iterable[Chain], rules: Mapping[bytes, CompiledRule]
) -> None:
    """Keep the runs of chains one by one that are none any more.

    Args:
        runs: Opened; changed in place.
        chains: What an older rule set has kept.
        left: Those chains, as that set had them.
        rules: Those of this set, by structure hash.
    """
    for chain in left:
        if chains.waiting & chain.bits:
            rule = rules[chain.rule.structure_hash]
            keep_one_by_one(runs, rule, runs_of(chains, chain, path(rule)[1], chains.newest))


def take_over(
    runs: Runs,
    index: ChainIndex | None,
    section: Section,
    tail: memoryview,
    rules: Mapping[bytes, CompiledRule],
    table: Sequence[Predicate],
) -> int:
    """Take over the chains that another rule set kept.

    Args:
        runs: Opened; changed in place.
        index: The chains of this set, None if it has none.
        section: What was kept.
        tail: The events that go with it.
        rules: Those of this set, by structure hash.
        table: The predicates of the machine, by index.

    Returns:
        How many runs, at least, were dropped because their rule is not known.
    """
    unknown = 0

    def others(chain: chain_codec.Stored, entries: Sequence[Entry]) -> None:
        nonlocal unknown
        rule = rules.get(chain.structure_hash)
        if rule is None:
            unknown += chain.waiting
        elif not chain.eager:
            alone = finish(making([rule], table))
            kept = alone.nothing()
            kept.floors[0] = chain.floor
            for entry in entries:
                alone.remember(kept, entry)
            [known] = alone.chains.values()
            keep_one_by_one(runs, rule, runs_of(kept, known, known.states, section.newest))

    runs.chains = chain_codec.taken_over(index, section, tail, section.newest, others)
    if index is not None:
        mark_eager(runs, index)
    return unknown
