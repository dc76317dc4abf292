"""From a rule set to what its machine is made of, a rule at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from udfs.errors import ConfigInvalid
from udfs.matching import chain_making, wakes
from udfs.matching.assembly import automata_of, compiled_rule, finishing
from udfs.matching.chain import chains_of
from udfs.matching.check import checking
from udfs.matching.predicates import Compiler, Predicate, PredicateTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from udfs.matching.chain_layout import Layout
    from udfs.matching.chains import ChainIndex
    from udfs.matching.rule import CompiledRule
    from udfs.matching.wakes import Wakes
    from udfs.slices import Work


class Parts(msgspec.Struct, frozen=True, eq=False):
    """What a machine is made of.

    Args:
        rules: Compiled.
        current: How many rules are in force; what comes after may only finish.
        predicates: All of them, by index.
        errors: Gives how often conditions ended in an error.
        chains: The rules that are worked off together, None if there are none.
        wakes: What wakes the runs of all others.
    """

    rules: tuple[CompiledRule, ...]
    current: int
    predicates: tuple[Predicate, ...]
    errors: Callable[[], int]
    chains: ChainIndex | None
    wakes: Wakes


def parts_of(
    rules: Sequence[Mapping[str, Any]],
    where: str,
    default_max_runs: int | None,
    compiler: Compiler,
    previous: Sequence[Mapping[str, Any]],
    *,
    chains: bool,
    before: ChainIndex | None,
    layout: Layout | None,
) -> Work[Parts]:
    """Compile a rule set; see `Machine.compiling`.

    Args:
        rules: As decoded from JSON.
        where: JSON path of the list.
        default_max_runs: Cap of rules that name none.
        compiler: Of ``where`` texts.
        previous: Rules of the set before.
        chains: Whether rules that are chains are worked off together.
        before: The chains that were in force before.
        layout: Of the chains that have written the state.

    Raises:
        ConfigInvalid: With all the faults of all the rules.
    """
    specs, faults = yield from checking(rules, where, default_max_runs)
    table = PredicateTable(compiler)
    current = yield from automata_of(specs, table, where, faults)
    if faults:
        raise ConfigInvalid(faults)
    older, _ = yield from checking(previous, "previous", default_max_runs)
    old = finishing(older, [spec for spec, _ in current])
    yield
    compiled = [*current, *(yield from automata_of(old, table, "previous", []))]
    found = []
    for number, (spec, automaton) in enumerate(compiled):
        found.append(compiled_rule(number, spec, automaton, finishing=number >= len(current)))
        yield
    predicates = tuple(table.predicates)
    together = chains_of(found, predicates) if chains else []
    yield
    index = None
    if together:
        alone = {rule.structure_hash for rule in found}
        alone.difference_update([rule.structure_hash for rule in together])
        index = yield from chain_making.making(together, predicates, before, layout, alone)
    others = yield from wakes.index(
        [rule.start for rule in found], predicates, len(current),
        {rule.index for rule in together},
    )  # fmt: skip
    return Parts(tuple(found), len(current), predicates, table.errors(), index, others)
