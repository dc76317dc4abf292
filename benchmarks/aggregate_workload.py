"""Specs and events of the benchmarks of aggregates."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from udfs.events.event import Event

TYPES: Final = 10
"""Event types, drawn evenly."""
LOWEST, HIGHEST = 1_000, 2_000
"""Amounts lie between, drawn evenly."""
WINDOWS: Final = ("5m", "1h", "6h", "1d")
FUNCTIONS: Final = ("count", "sum", "avg", "min", "max")
START_MS: Final = 1_700_000_000_000


class Series(msgspec.Struct, frozen=True):
    """How specs become more.

    Args:
        name: For tables.
        types_of: Number of specs -> number of event types.
        holding: Share of events for which a condition holds.
    """

    name: str
    types_of: Callable[[int], int]
    holding: float


ALL_HOLD: Final = Series("all conditions hold", lambda _: TYPES, 1.0)
SERIES: Final = (
    Series("an event concerns ten", lambda count: max(1, count // 10), 1.0),
    ALL_HOLD,
    Series("a tenth holds", lambda _: TYPES, 0.1),
)


def specs(count: int, series: Series = ALL_HOLD) -> list[dict[str, Any]]:
    """Make conditional aggregates over four windows.

    With 100 of them each event concerns ten. Half of them are near-duplicates: each second one is
    the one before with another window, or with a condition a little higher.

    Args:
        count: How many.
        series: How they become more.
    """
    types = series.types_of(count)
    made = []
    for i in range(count):
        original, copied = divmod(i, 2)
        kind = original % types
        turn = original // types
        window = WINDOWS[(turn + (copied and turn % 2)) % len(WINDOWS)]
        floor = turn // len(FUNCTIONS) + (0.5 if copied and not turn % 2 else 0.0)
        if series.holding < 1:
            lowest = HIGHEST - 2 * series.holding * (HIGHEST - LOWEST)
            floor += lowest + (turn * 37 % 100) / 100 * (HIGHEST - lowest)
        function = FUNCTIONS[turn % len(FUNCTIONS)]
        spec = {
            "aggregate": f"a{i}",
            "event": f"t{kind}",
            "where": f"props.amount > {floor:.1f}",
            "function": function,
            "window": {"sliding": window},
        }
        if function != "count":
            spec["value"] = "props.amount"
        made.append(spec)
    return made


class Traffic:
    """Events of users that are equally busy.

    Args:
        users: How many.
        per_user_seconds: Event time between two events of a user.
        in_a_row: Events of one user that come together, as in a micro-batch.
        seed: Of the random numbers.
        types: Event types.
    """

    def __init__(
        self, users: int, per_user_seconds: float, in_a_row: int = 2, seed: int = 1,
        types: int = TYPES,
    ) -> None:  # fmt: skip
        self._users = users
        self._types = types
        self._step_ms = 1_000 * per_user_seconds / users
        self._in_a_row = in_a_row
        self._random = random.Random(seed)
        self.made = 0

    def events(self, count: int) -> Iterator[Event]:
        """Give the next events; amounts are prices."""
        draw = self._random
        for _ in range(count // self._in_a_row):
            user = f"user-{draw.randrange(self._users)}"
            for _ in range(self._in_a_row):
                time = START_MS + int(self.made * self._step_ms)
                self.made += 1
                amount = draw.randrange(100 * LOWEST, 100 * HIGHEST) / 100
                name = f"t{draw.randrange(self._types)}"
                yield Event(f"e{self.made}", name, user, time, props={"amount": amount, "sku": "x"})
