"""The conditions of a machine in words of the DSL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from udfs.events.durations import format_duration

if TYPE_CHECKING:
    from udfs.matching.predicates import Predicate

ANYTHING: Final = "any event"


def words(predicate: Predicate) -> str:
    """Write a condition down.

    >>> from udfs.matching.predicates import Predicate
    >>> words(Predicate(0, frozenset(["pay", "buy"]), None, (), text="props.n > 1"))
    'buy or pay where props.n > 1'

    Args:
        predicate: The condition.
    """
    parts = []
    if predicate.types is not None:
        parts.append(" or ".join(sorted(predicate.types)))
    if predicate.text is not None:
        parts.append(f"where {predicate.text}")
    if predicate.gap is not None:
        parts.append(f"at least {format_duration(predicate.gap[1])} after the step before")
    return " ".join(parts) or ANYTHING
