"""Specs and events of the benchmarks of aggregates."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from udfs.events.event import Event

TYPES: Final = 10
"""Event types, drawn evenly."""
WINDOWS: Final = ("5m", "1h", "6h", "1d")
FUNCTIONS: Final = ("count", "sum", "avg", "min", "max")
START_MS: Final = 1_700_000_000_000


def specs(count: int) -> list[dict[str, Any]]:
    """Make conditional aggregates over four windows.

    With 100 of them each event touches ten. Half of them are near-duplicates: each second one is
    the one before with another window, or with a condition a little higher.

    Args:
        count: How many.
    """
    made = []
    for i in range(count):
        original, copied = divmod(i, 2)
        kind = original % TYPES
        turn = original // TYPES
        window = WINDOWS[(turn + (copied and turn % 2)) % len(WINDOWS)]
        floor = turn // len(FUNCTIONS) + (0.5 if copied and not turn % 2 else 0.0)
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
    """

    def __init__(
        self, users: int, per_user_seconds: float, in_a_row: int = 2, seed: int = 1
    ) -> None:
        self._users = users
        self._step_ms = 1_000 * per_user_seconds / users
        self._in_a_row = in_a_row
        self._random = random.Random(seed)
        self.made = 0

    def events(self, count: int) -> Iterator[Event]:
        """Give the next events; amounts are prices above 1,000."""
        draw = self._random
        for _ in range(count // self._in_a_row):
            user = f"user-{draw.randrange(self._users)}"
            for _ in range(self._in_a_row):
                time = START_MS + int(self.made * self._step_ms)
                self.made += 1
                amount = draw.randrange(100_000, 200_000) / 100
                name = f"t{draw.randrange(TYPES)}"
                yield Event(f"e{self.made}", name, user, time, props={"amount": amount, "sku": "x"})
