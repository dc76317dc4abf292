"""Comparisons of one property with many numbers: sorted once, so that one look tells which hold.

Of a thousand rules that begin with ``props.price > …`` an event should not ask a thousand
conditions. Comparisons with numbers are sorted by number, equalities are looked up; what is not
such a comparison is asked as ever.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from udfs.matching.predicates import Predicate

Starts: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]
"""Predicates by index, each with the rules (by index) that a run may begin in if it holds."""

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


class Ladder:
    """All comparisons of one property that begin runs.

    Args:
        field: The property.
        steps: The comparisons, each with its entry of `Starts`.
    """

    __slots__ = ("_equal", "_rungs", "field", "starts")

    def __init__(
        self, field: str, steps: Sequence[tuple[Comparison, tuple[int, tuple[int, ...]]]]
    ) -> None:
        self.field = field
        self.starts: Starts = tuple(start for _, start in steps)
        """For values that are no numbers: an error is counted once a condition."""
        self._rungs: list[tuple[str, list[float], Starts]] = []
        self._equal: dict[float, list[tuple[int, tuple[int, ...]]]] = {}
        for operator in ("<", "<=", ">", ">="):
            rungs = sorted(
                ((one.number, start) for one, start in steps if one.operator == operator),
                key=lambda rung: rung[0],
            )
            if rungs:
                numbers = [number for number, _ in rungs]
                self._rungs.append((operator, numbers, tuple(start for _, start in rungs)))
        for one, start in steps:
            if one.operator == "==":
                self._equal.setdefault(one.number, []).append(start)

    def holding(self, props: Mapping[str, Any]) -> Iterable[tuple[int, tuple[int, ...]]] | None:
        """Give what holds for an event; None if its value is no number, so that each is asked. HOT.

        Args:
            props: Those of the event.
        """
        value = props.get(self.field)
        # NaN is not equal to itself, and no order has a place for it.
        if (value.__class__ is not int and value.__class__ is not float) or value != value:  # noqa: PLR0124
            return None
        found: list[tuple[int, tuple[int, ...]]] = []
        for operator, numbers, starts in self._rungs:
            if operator == ">":
                found += starts[: bisect_left(numbers, value)]
            elif operator == ">=":
                found += starts[: bisect_right(numbers, value)]
            elif operator == "<":
                found += starts[bisect_right(numbers, value) :]
            else:
                found += starts[bisect_left(numbers, value) :]
        if self._equal:
            found += self._equal.get(value, ())
        return found


def ladders_of(starts: Starts, table: Sequence[Predicate]) -> tuple[tuple[Ladder, ...], Starts]:
    """Give the ladders of an event type, and what is left to be asked one by one.

    Args:
        starts: All that may begin with such an event.
        table: The predicates, by index.
    """
    by_field: dict[str, list[tuple[Comparison, tuple[int, tuple[int, ...]]]]] = {}
    for start in starts:
        comparison = table[start[0]].comparison
        if comparison is not None:
            by_field.setdefault(comparison.field, []).append((comparison, start))
    ladders = tuple(
        Ladder(field, steps) for field, steps in by_field.items() if len(steps) >= FEWEST
    )
    sorted_in = {number for ladder in ladders for number, _ in ladder.starts}
    return ladders, tuple(start for start in starts if start[0] not in sorted_in)
