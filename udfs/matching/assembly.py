"""From a checked rule to its automaton, or to what the check of its shape could not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.errors import Fault
from udfs.matching import lines
from udfs.matching.build import Automaton
from udfs.matching.flatten import TooManyMovesError
from udfs.matching.parts import link
from udfs.matching.rule import CompiledRule
from udfs.matching.spec import RuleSpec, Skip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from udfs.matching.predicates import PredicateTable
    from udfs.slices import Work


def automata_of(
    specs: Sequence[RuleSpec | None], table: PredicateTable, where: str, faults: list[Fault]
) -> Work[list[tuple[RuleSpec, Automaton]]]:
    """Give rules with their automata, those left out that have faults; a rule at a time.

    Args:
        specs: The rules, None where nothing can be made of one.
        table: Gets their predicates.
        where: JSON path of the list.
        faults: What is wrong so far; gets what else is.
    """
    found = []
    for index, spec in enumerate(specs):
        if spec is not None:
            automaton = _automaton(spec, table, f"{where}[{index}]", faults)
            if automaton is not None:
                found.append((spec, automaton))
        yield
    return found


def finishing(previous: Sequence[RuleSpec | None], current: Sequence[RuleSpec]) -> list[RuleSpec]:
    """Give the rules of an older set whose runs may go on to their end.

    Args:
        previous: The older set.
        current: The new one.
    """
    hashes = {spec.structure_hash() for spec in current}
    names = {spec.name for spec in current if spec.finish_old}
    found = {}
    for spec in previous:
        # Without a window it would never end.
        if spec is not None and spec.name in names and spec.within_ms is not None:
            structure_hash = spec.structure_hash()
            if structure_hash not in hashes:
                found[structure_hash] = spec
    return list(found.values())


def compiled_rule(
    index: int, spec: RuleSpec, automaton: Automaton, *, finishing: bool
) -> CompiledRule:
    """Give a rule as the machine has it.

    Args:
        index: Its position.
        spec: What was asked for.
        automaton: Its states; they get the index.
        finishing: Whether its runs may only finish.
    """
    for state in automaton.states:
        state.rule = index
    skips = spec.skip is not Skip.NONE
    return CompiledRule(
        index=index,
        spec=spec,
        structure_hash=spec.structure_hash(),
        step_names=tuple(step.name for step in spec.leaves()),
        states=tuple(automaton.states),
        start=automaton.start,
        skips=skips,
        in_line=skips and lines.never_branch(automaton.states),
        has_gaps=any(state.gap_ms is not None for state in automaton.states),
        finishing=finishing,
    )


def _automaton(
    spec: RuleSpec, table: PredicateTable, where: str, faults: list[Fault]
) -> Automaton | None:
    """Give the automaton of a rule; None if it has faults or is too large.

    Args:
        spec: The rule.
        table: Gets its predicates.
        where: JSON path of the rule.
        faults: What is wrong so far; gets what else is.
    """
    last = link(spec, table, where, faults)
    # A rule with faults is not compiled: a loop without an end would not come to one here.
    if last is None or any(fault.where.startswith(f"{where}.") for fault in faults):
        return None
    try:
        automaton = Automaton(last, spec.within_ms)
    except TooManyMovesError:
        problem = "one event could be read in too many ways"
        cure = "nest fewer optional steps, or write two rules"
        faults.append(Fault(f"{where}.pattern", problem, cure))
        return None
    faults += _too_long(automaton, spec.within_ms)
    return automaton


def _too_long(automaton: Automaton, within_ms: int | None) -> Iterator[Fault]:
    """Give the time limits between events that are longer than that of the rule."""
    for place, limit_ms in automaton.limits.items():
        if within_ms is not None and limit_ms > within_ms:
            problem = f"{limit_ms} ms between two events is longer than the rule's 'within'"
            yield Fault(place, problem, "shorten it, or lengthen 'within'")
