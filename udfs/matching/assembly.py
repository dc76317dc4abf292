"""From a checked rule to its automaton, or to what the check of its shape could not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.errors import Fault
from udfs.matching.build import Automaton
from udfs.matching.flatten import TooManyMovesError
from udfs.matching.parts import link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from udfs.matching.predicates import PredicateTable
    from udfs.matching.spec import RuleSpec


def automaton_of(
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
