"""Rules of three steps and the events they are tried on, as many of either as wanted.

An event has one of 20 types and eight whole numbers, all drawn evenly. A step names a type and
compares one number; its comparison holds for the wanted share of the type's events.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from udfs.events.event import Event

TYPES: Final = tuple(f"type_{number:02d}" for number in range(20))
FIELDS: Final = tuple(f"n{number}" for number in range(8))
STEPS: Final = ("first", "second", "third")
OPERATORS: Final = ("<", "<=", ">", ">=")

VALUES: Final = 1_000_000
"""A number of an event is drawn from 0 up to here."""

SPREAD: Final = 0.05
"""By so much of itself a step's share is off, to either side: few comparisons are the same."""

WITHIN_MS: Final = 600_000
FIRST_MS: Final = 1_760_000_000_000
_SEED: Final = 20_27

_RECORD: Final = np.dtype(
    [
        ("time", "<i8"),
        ("index", "<i4"),
        ("user", "<i4"),
        ("type", "<i4"),
        ("values", "<i4", (len(FIELDS),)),
    ]
)
"""An event as the file has it that Java reads."""


class Comparison(msgspec.Struct, frozen=True):
    """One step of a rule, by numbers.

    Args:
        type: Index of the event type.
        field: Index of the compared number.
        operator: Of the comparison.
        number: What it is compared with.
    """

    type: int
    field: int
    operator: str
    number: int


class Rules:
    """A rule set.

    Args:
        count: How many rules.
        share: Of its type's events, those for which a step's comparison holds.
        seed: Of the random numbers.

    Attributes:
        steps: For each rule its three steps.
    """

    def __init__(self, count: int, share: float, seed: int = _SEED) -> None:
        draw = random.Random(seed)
        self.share = share
        self.steps: list[tuple[Comparison, ...]] = [
            tuple(_comparison(draw, share * (1 + SPREAD * draw.uniform(-1, 1))) for _ in STEPS)
            for _ in range(count)
        ]

    def manifest(self) -> list[dict[str, Any]]:
        """Give them as they are published."""
        return [spec(name_of(number), steps) for number, steps in enumerate(self.steps)]

    def write(self, path: Path) -> None:
        """Write them for Java: a line a rule, four words a step."""
        lines = (
            " ".join(f"{one.type} {one.field} {one.operator} {one.number}" for one in steps)
            for steps in self.steps
        )
        path.write_text("".join(f"{line}\n" for line in lines))


def name_of(number: int) -> str:
    """Give the name of a rule by its place in the set."""
    return f"rule_{number:04d}"


def spec(name: str, steps: Sequence[Comparison], version: int = 1) -> dict[str, Any]:
    """Give a rule as it is published.

    Args:
        name: Of the rule.
        steps: One for each of `STEPS`.
        version: Of the rule.
    """
    return {
        "rule": name,
        "version": version,
        "pattern": [
            {
                "step": step,
                **({"then": "followed_by"} if place else {}),
                "event": TYPES[one.type],
                "where": f"props.{FIELDS[one.field]} {one.operator} {one.number}",
            }
            for place, (step, one) in enumerate(zip(STEPS, steps, strict=True))
        ],
        "within": f"{WITHIN_MS // 60_000}m",
        "after_match": "skip_past_last_event",
    }


def _comparison(draw: random.Random, share: float) -> Comparison:
    held = round(share * VALUES)
    operator = draw.choice(OPERATORS)
    number = {
        "<": held,
        "<=": held - 1,
        ">": VALUES - held - 1,
        ">=": VALUES - held,
    }[operator]
    return Comparison(draw.randrange(len(TYPES)), draw.randrange(len(FIELDS)), operator, number)


class Traffic:
    """Makes events; the same calls give the same ones.

    Args:
        users: How many there are.
        spacing_ms: Time between two events, of whichever users.
        zipf: Exponent of how busy users are; 0 for all the same.
        seed: Of the random numbers.

    Attributes:
        made: How many events were made.
        names: Of the users.
    """

    def __init__(self, users: int, spacing_ms: float, zipf: float = 0.0, seed: int = _SEED) -> None:
        self.names = [f"u{number:06d}" for number in range(users)]
        self.made = 0
        self._spacing_ms = spacing_ms
        self._draw = np.random.default_rng(seed)
        weights = 1.0 / np.arange(1, users + 1) ** zipf
        self._bounds = np.cumsum(weights) / np.sum(weights)

    @property
    def now_ms(self) -> int:
        """Time of the latest event."""
        return FIRST_MS + int((self.made - 1) * self._spacing_ms)

    def make(self, count: int) -> NDArray[np.void]:
        """Make the next events."""
        draw = self._draw
        numbers = np.arange(self.made, self.made + count)
        self.made += count
        made = np.zeros(count, _RECORD)
        made["time"] = FIRST_MS + (numbers * self._spacing_ms).astype(np.int64)
        made["index"] = numbers
        made["user"] = np.searchsorted(self._bounds, draw.random(count), side="right")
        made["type"] = draw.integers(0, len(TYPES), count)
        made["values"] = draw.integers(0, VALUES, (count, len(FIELDS)))
        return made

    def events(self, made: NDArray[np.void]) -> Sequence[Event]:
        """Give made events as a codec would have decoded them."""
        names = self.names
        columns = (made[name].tolist() for name in ("time", "index", "user", "type", "values"))
        return [
            Event(
                str(index),
                TYPES[kind],
                names[user],
                time,
                props=dict(zip(FIELDS, values, strict=True)),
            )
            for time, index, user, kind, values in zip(*columns, strict=True)
        ]

    def chunks(self, count: int, size: int = 20_000) -> Iterator[NDArray[np.void]]:
        """Make the next events, piece by piece."""
        while count > 0:
            yield self.make(min(count, size))
            count -= size
