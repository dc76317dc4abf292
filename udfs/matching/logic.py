"""Conditions of edges: alternatives of which at most one can hold.

A formula is a tuple of conjunctions that exclude each other, so that an edge can be split into
one edge an alternative and still at most one of them is ever followed: the number of runs and
their order stay those of Flink.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from udfs.matching.predicates import Predicate

Literal: TypeAlias = tuple[Predicate, bool]
Conjunction: TypeAlias = tuple[Literal, ...]
Formula: TypeAlias = tuple[Conjunction, ...]

TRUE: Final[Formula] = ((),)


def literal(predicate: Predicate, *, wanted: bool = True) -> Formula:
    """Give the formula of one predicate."""
    return (((predicate, wanted),),)


def join(first: Conjunction, second: Conjunction) -> Conjunction | None:
    """Give the conjunction without repetition; None if it can never hold."""
    merged = dict(first)
    for predicate, wanted in second:
        if merged.setdefault(predicate, wanted) is not wanted:
            return None
    return tuple(merged.items())


def both(first: Formula, second: Formula) -> Formula:
    """Give the alternatives in which both hold."""
    joined = (join(one, other) for one in first for other in second)
    return tuple(found for found in joined if found is not None)


def negate(formula: Formula) -> Formula:
    """Give the alternatives in which the formula does not hold."""
    result = TRUE
    for conjunction in formula:
        refused = []
        for position, (predicate, wanted) in enumerate(conjunction):
            refused.append((*conjunction[:position], (predicate, not wanted)))
        result = both(result, tuple(refused))
    return result
