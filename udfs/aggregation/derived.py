"""Aggregates that are derived from others: their order, and what they need."""

from __future__ import annotations

import contextlib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from udfs.aggregation.specs import Spec


def reads_of(specs: Sequence[Spec]) -> dict[str, frozenset[str]]:
    """Give the names that each derived aggregate reads.

    Args:
        specs: Of any aggregates.
    """
    return {one.name: one.derive.values_used for one in specs if one.derive is not None}


def in_order(derived: Mapping[str, frozenset[str]]) -> tuple[list[str], list[str]]:
    """Order derived aggregates so that each comes after those that it reads.

    Args:
        derived: Name -> names that it reads.

    Returns:
        The names in order, and those that lie on or behind a circle.
    """
    sorter = TopologicalSorter(
        {name: [read for read in reads if read in derived] for name, reads in derived.items()}
    )
    with contextlib.suppress(CycleError):
        sorter.prepare()
    order: list[str] = []
    while ready := sorter.get_ready():
        order += ready
        sorter.done(*ready)
    found = set(order)
    return order, [name for name in derived if name not in found]


def rests_of(specs: Sequence[Spec]) -> dict[str, frozenset[str]]:
    """Give by name the aggregates that are worked out for it: itself, or what it is derived from.

    Args:
        specs: Without circles, and with all that derived ones read.
    """
    reads = reads_of(specs)
    found = {one.name: frozenset((one.name,)) for one in specs if one.name not in reads}
    for name in in_order(reads)[0]:
        found[name] = frozenset().union(*(found[read] for read in reads[name]))
    return found


def needed(specs: Sequence[Spec], names: Collection[str]) -> list[Spec]:
    """Give the aggregates of these names, and what they are derived from, in the order of `specs`.

    Args:
        specs: Without circles.
        names: Unknown ones are passed over.
    """
    reads = reads_of(specs)
    wanted = set(names)
    for name in reversed(in_order(reads)[0]):
        if name in wanted:
            wanted |= reads[name]
    return [one for one in specs if one.name in wanted]
