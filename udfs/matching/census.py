"""How many partial matches a user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.chains import alive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from udfs.matching.chains import ChainIndex
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Runs


def live_runs(runs: Runs, index: ChainIndex | None, now: int) -> dict[int, int]:
    """Count the runs of each rule (by index) that has any.

    Args:
        runs: Opened.
        index: The chains.
        now: Rule time, ms.
    """
    found = _one_by_one(runs)
    chains = runs.chains
    if index is not None and chains is not None:
        for number in index.numbers_of(chains.waiting):
            chain = index.chains[number]
            count = sum(1 for _ in alive(chains, chain, now))
            if count:
                found[chain.rule.index] = count
    return found


def places(
    runs: Runs, rules: Mapping[bytes, CompiledRule], index: ChainIndex | None
) -> dict[int, int]:
    """Give in how many places each rule (by index) has runs: quicker than `live_runs`.

    Args:
        runs: Packed or opened.
        rules: By structure hash.
        index: The chains.
    """
    found = _one_by_one(runs)
    if runs.packed is not None:
        at = 0
        for structure_hash in runs.packed.hashes:
            count = runs.packed.runs[at]
            found[rules[structure_hash].index] = count
            at += 1 + 2 * count
    chains = runs.chains
    if index is not None and chains is not None:
        for number in index.numbers_of(chains.waiting):
            chain = index.chains[number]
            found[chain.rule.index] = (chains.waiting & chain.bits).bit_count()
    return found


def _one_by_one(runs: Runs) -> dict[int, int]:
    found: dict[int, int] = {}
    for bucket in runs.buckets.values():
        for run in bucket:
            found[run.state.rule] = found.get(run.state.rule, 0) + 1
    for number, waiting in runs.queues.items():
        found[number] = found.get(number, 0) + len(waiting.partial) - 1
    return found
