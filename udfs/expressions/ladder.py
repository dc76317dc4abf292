"""Comparisons of one property with many numbers: sorted once, so that one look tells which hold.

Of a thousand conditions like ``props.price > …`` an event should not ask a thousand. Comparisons
with numbers are sorted by number, equalities are looked up; what is not such a comparison is asked
as ever.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

FEWEST: Final = 4
"""Comparisons of a property below which asking each is as fast."""

_COMPARISON: Final = re.compile(
    r"\s*props\.([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|<|>|==)\s*(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)\s*"
)


class Comparison(msgspec.Struct, frozen=True):
    """A condition that is nothing but the comparison of a property with a number."""

    field: str
    operator: str
    number: float


def comparison_of(text: str | None) -> Comparison | None:
    """Give the comparison that a text is, None if it is anything else.

    >>> comparison_of("props.price >= 10.5")
    Comparison(field='price', operator='>=', number=10.5)
    >>> comparison_of("props.price > 1.0 && props.n == 3") is None
    True
    """
    found = None if text is None else _COMPARISON.fullmatch(text)
    if found is None:
        return None
    number = found[3]
    return Comparison(found[1], found[2], float(number) if "." in number else int(number))


class Ladder(Generic[T]):
    """All comparisons of one property.

    Args:
        field: The property.
        steps: The comparisons, each with what it stands for.

    Attributes:
        members: What all of them stand for: where the value is no number, each has to be asked, so
            that an error is counted once a condition.
    """

    __slots__ = ("_equal", "_rungs", "field", "members")

    def __init__(self, field: str, steps: Iterable[tuple[Comparison, T]]) -> None:
        self.field = field
        found = list(steps)
        self.members: tuple[T, ...] = tuple(member for _, member in found)
        self._rungs: list[tuple[str, list[float], tuple[T, ...]]] = []
        self._equal: dict[float, list[T]] = {}
        for operator in ("<", "<=", ">", ">="):
            rungs = sorted(
                ((one.number, member) for one, member in found if one.operator == operator),
                key=lambda rung: rung[0],
            )
            if rungs:
                numbers = [number for number, _ in rungs]
                self._rungs.append((operator, numbers, tuple(member for _, member in rungs)))
        for one, member in found:
            if one.operator == "==":
                self._equal.setdefault(one.number, []).append(member)

    def holding(self, props: Mapping[str, Any]) -> list[T] | None:
        """Give what holds for an event; None if its value is no number, so that each is asked. HOT.

        Args:
            props: Those of the event.
        """
        value = props.get(self.field)
        # NaN is not equal to itself, and no order has a place for it.
        if (value.__class__ is not int and value.__class__ is not float) or value != value:  # noqa: PLR0124
            return None
        found: list[T] = []
        for operator, numbers, members in self._rungs:
            if operator == ">":
                found += members[: bisect_left(numbers, value)]
            elif operator == ">=":
                found += members[: bisect_right(numbers, value)]
            elif operator == "<":
                found += members[bisect_right(numbers, value) :]
            else:
                found += members[bisect_left(numbers, value) :]
        if self._equal:
            found += self._equal.get(value, ())
        return found


def sort_out(
    members: Iterable[tuple[Comparison | None, T]],
) -> tuple[tuple[Ladder[T], ...], tuple[T, ...]]:
    """Give ladders, and what is left to be asked one by one, in its order.

    Args:
        members: What a condition is, None if it is no comparison, and what it stands for.
    """
    found = list(members)
    by_field: dict[str, list[tuple[Comparison, T]]] = {}
    for comparison, member in found:
        if comparison is not None:
            by_field.setdefault(comparison.field, []).append((comparison, member))
    ladders = tuple(
        Ladder(field, steps) for field, steps in by_field.items() if len(steps) >= FEWEST
    )
    sorted_in = {ladder.field for ladder in ladders}
    return ladders, tuple(
        member
        for comparison, member in found
        if comparison is None or comparison.field not in sorted_in
    )
