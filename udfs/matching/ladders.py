"""Comparisons that begin runs, sorted: see `udfs.expressions.ladder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from udfs.expressions.ladder import Ladder, sort_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.matching.predicates import Predicate

Start: TypeAlias = tuple[int, tuple[int, ...]]
"""A predicate by index, with the rules (by index) that a run may begin in if it holds."""

Starts: TypeAlias = tuple[Start, ...]


def ladders_of(
    starts: Starts, table: Sequence[Predicate]
) -> tuple[tuple[Ladder[Start], ...], Starts]:
    """Give the ladders of an event type, and what is left to be asked one by one.

    Args:
        starts: All that may begin with such an event.
        table: The predicates, by index.
    """
    return sort_out((table[start[0]].comparison, start) for start in starts)
