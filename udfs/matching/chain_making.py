"""From rules that are chains to their index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.bits import Kind
from udfs.matching.chain import Chain, Step, path
from udfs.matching.chain_layout import Key, Layout, lay_out
from udfs.matching.chains import ChainIndex
from udfs.matching.spec import Skip

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from udfs.matching.automaton import State
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule
    from udfs.slices import Work


def making(
    rules: Sequence[CompiledRule],
    table: Sequence[Predicate],
    before: ChainIndex | None = None,
    layout: Layout | None = None,
    alone: Collection[bytes] = (),
) -> Work[ChainIndex]:
    """Make the index of a rule set, piece by piece.

    Args:
        rules: Rules for which `is_chain` holds, one at least.
        table: The predicates of the machine, by index.
        before: What was in force before: what stays, stays where it was.
        layout: How it was laid out when state was written, if `before` is not known.
        alone: Structure hashes of the rules that are no chains.
    """
    paths = [path(rule) for rule in rules]
    yield
    keys: dict[Key, Predicate] = {}
    for moves, _ in paths:
        for move in moves:
            predicate = table[move.needs[0][0]]
            keys[_key(predicate)] = predicate
    wanted = {
        rule.structure_hash: len(moves) - 1 for rule, (moves, _) in zip(rules, paths, strict=True)
    }
    yield
    known = layout if before is None else before.layout
    placed, inherited = lay_out(wanted, list(keys), known)
    yield
    places: dict[Key, dict[int, int]] = {key: {} for key in keys}
    for number, bits in enumerate(placed.predicates):
        for bit, key in enumerate(bits):
            if key is not None:
                places[key][number] = bit
    uses: dict[Key, list[int]] = {key: [0, 0] for key in keys}
    chains = {}
    for rule, (moves, states) in zip(rules, paths, strict=True):
        first, count = placed.chains[rule.structure_hash]
        steps = []
        for place, move in enumerate(moves):
            key = _key(table[move.needs[0][0]])
            uses[key][place > 0] |= 1 << (first + max(place - 1, 0))
            steps.append(_step(move.step, places[key]))
        chains[first] = _chain(rule, tuple(steps), states, ((1 << count) - 1) << first)
        yield
    kinds = []
    for number, bits in enumerate(placed.predicates):
        members = [
            (keys[key], (1 << bit, uses[key][0], uses[key][1]))
            for bit, key in enumerate(bits)
            if key is not None
        ]
        kinds.append(Kind(number, members))
        yield
    index = ChainIndex(chains, tuple(kinds), placed)
    if before is not None and inherited:
        index.descend(before, alone)
    return index


def _key(predicate: Predicate) -> Key:
    types = predicate.types
    return None if types is None else tuple(sorted(types)), predicate.text


def _chain(
    rule: CompiledRule, steps: tuple[Step, ...], states: tuple[State, ...], bits: int
) -> Chain:
    within_ms = rule.spec.within_ms
    assert within_ms is not None
    names = tuple(rule.step_names[step.number] for step in steps)
    return Chain(
        rule, steps, states, within_ms, rule.spec.skip is Skip.PAST_LAST, bits, steps[:-1], names,
        len(set(names)) < len(names), (bits & -bits).bit_length() - 1,
    )  # fmt: skip


def _step(number: int, places: dict[int, int]) -> Step:
    if len(places) > 1:
        return Step(number, places, -1, 0)
    [(kind, bit)] = places.items()
    return Step(number, places, kind, bit)
