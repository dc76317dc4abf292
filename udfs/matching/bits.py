"""What an event does to all chains at once, as bits (`udfs.matching.chains`)."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.events.event import Event
    from udfs.matching.predicates import Condition, Predicate

Bits: TypeAlias = tuple[int, int, int]
"""Predicates that hold, positions that begin, positions that move on."""

_NOTHING: Final[Bits] = (0, 0, 0)
_FEW: Final = 6
"""Comparisons that hold for a number, up to which their bits are added up with every event."""

_MOST_KNOWN: Final = 4_096
_FEWEST: Final = 2
"""Comparisons of a property below which each is asked."""


class Ladder:
    """The comparisons of one property with numbers: a search gives the bits of all.

    Args:
        field: The property.
        members: The comparisons' predicates with their bits.
    """

    __slots__ = ("cells", "field", "high", "low", "members", "numbers")

    def __init__(self, field: str, members: Sequence[tuple[Predicate, Bits]]) -> None:
        self.field = field
        self.members = tuple(
            (one.condition, bits) for one, bits in members if one.condition is not None
        )
        by_number: dict[float, dict[str, list[Bits]]] = {}
        for predicate, bits in members:
            one = predicate.comparison
            assert one is not None
            by_number.setdefault(one.number, {}).setdefault(one.operator, []).append(bits)
        self.numbers = sorted(by_number)
        # Cell 2 i is what lies below number i, cell 2 i + 1 is number i itself.
        cells: list[list[Bits]] = [[] for _ in range(2 * len(self.numbers) + 1)]
        rising: list[Bits] = []
        falling: list[Bits] = []
        for place, number in enumerate(self.numbers):
            operators = by_number[number]
            rising = rising + operators.get(">=", [])
            cells[2 * place + 1] = rising + operators.get("==", [])
            rising = rising + operators.get(">", [])
            cells[2 * place + 2] = rising
        for place in reversed(range(len(self.numbers))):
            operators = by_number[self.numbers[place]]
            falling = falling + operators.get("<=", [])
            cells[2 * place + 1] = cells[2 * place + 1] + falling
            falling = falling + operators.get("<", [])
            cells[2 * place] = cells[2 * place] + falling
        self.cells = [_cell(found) for found in cells]
        # Most numbers lie where nothing holds: seen without a look at the rest.
        bounds = [-math.inf, *self.numbers, math.inf]
        gaps = [
            (bounds[place + 1] - bounds[place], bounds[place])
            for place in range(len(bounds) - 1)
            if not cells[2 * place] and bounds[place] < bounds[place + 1]
        ]
        self.low: float
        width, self.low = max(gaps, default=(0, 0))
        self.high = bounds[bounds.index(self.low) + 1] if width else self.low


def _cell(found: Sequence[Bits]) -> tuple[Bits, ...]:
    """Give the bits of what holds in a cell.

    Few are left as they are: they are shared by all cells, so that they stay in the processor's
    cache. Of many one sum is made.
    """
    if len(found) <= _FEW:
        return tuple(found)
    total = _NOTHING
    for bits in found:
        total = _joined(total, bits)
    return (total,)


class Kind:
    """What an event of one type does to the chains.

    Args:
        number: Of the kind.
        members: The predicates that may hold for it, each with its bits.
    """

    __slots__ = ("_known", "_members", "always", "asked", "begins", "ladders", "moves", "number")

    def __init__(self, number: int, members: Sequence[tuple[Predicate, Bits]]) -> None:
        self.number = number
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        """What eight predicates do, by place of their byte and its value."""
        self._members = {bits[0].bit_length() - 1: bits for _, bits in members}
        self.always = _NOTHING
        asked: list[tuple[Condition, Bits]] = []
        by_field: dict[str, list[tuple[Predicate, Bits]]] = {}
        self.begins = self.moves = 0
        for predicate, bits in members:
            self.begins |= bits[1]
            self.moves |= bits[2]
            if predicate.comparison is not None:
                by_field.setdefault(predicate.comparison.field, []).append((predicate, bits))
            elif predicate.condition is None:
                self.always = _joined(self.always, bits)
            else:
                asked.append((predicate.condition, bits))
        for field, some in list(by_field.items()):
            if len(some) < _FEWEST:
                del by_field[field]
                asked += [(one.condition, bits) for one, bits in some if one.condition is not None]
        self.asked = tuple(asked)
        self.ladders = tuple(Ladder(field, some) for field, some in by_field.items())

    def bits(self, event: Event, waiting: int) -> Bits:
        """Give what an event does. HOT.

        Args:
            event: The event.
            waiting: Positions; a predicate that only others wait for need not be asked.
        """
        holds, begins, moves = self.always
        asked = self.asked
        for ladder in self.ladders:
            value = event.props.get(ladder.field)
            # NaN is not equal to itself, and no order has a place for it.
            if (value.__class__ is float or value.__class__ is int) and value == value:  # noqa: PLR0124
                if ladder.low < value < ladder.high:
                    continue
                numbers = ladder.numbers
                place = bisect_left(numbers, value)
                at = 2 * place + (place < len(numbers) and numbers[place] == value)
                for bits in ladder.cells[at]:
                    holds |= bits[0]
                    begins |= bits[1]
                    moves |= bits[2]
            else:
                asked += ladder.members
        for condition, bits in asked:
            if (bits[1] or bits[2] & waiting) and condition(event, None, None):
                holds |= bits[0]
                begins |= bits[1]
                moves |= bits[2]
        return holds, begins, moves

    def effects(self, holds: bytes | bytearray) -> tuple[int, int]:
        """Give the positions that predicates begin and move on.

        Args:
            holds: The predicates as bits, little-endian; those that nobody asks any more may be
                among them.
        """
        begins = moves = 0
        known = self._known
        for place, value in enumerate(holds):
            if value:
                found = known.get((place, value))
                if found is None:
                    if len(known) >= _MOST_KNOWN:
                        known.clear()
                    found = known[place, value] = self._effects_of(place, value)
                begins |= found[0]
                moves |= found[1]
        return begins, moves

    def _effects_of(self, place: int, value: int) -> tuple[int, int]:
        begins = moves = 0
        for bit in range(8):
            bits = self._members.get(8 * place + bit)
            if bits is not None and value >> bit & 1:
                begins |= bits[1]
                moves |= bits[2]
        return begins, moves


def _joined(one: Bits, other: Bits) -> Bits:
    return one[0] | other[0], one[1] | other[1], one[2] | other[2]
