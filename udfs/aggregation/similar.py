"""What the aggregates of a plan share, and which nearly could."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from udfs.aggregation.specs import normal_text
from udfs.events.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from udfs.aggregation.plan import Plan
    from udfs.aggregation.specs import Spec, Window

_PARTS: Final = ("event", "where", "value", "kind", "group_by")


class Shared(msgspec.Struct, frozen=True):
    """One stream of items and who reads it.

    Args:
        event: Event types, sorted; empty for all.
        where: Condition, None for true.
        value: What is aggregated, None for the event alone.
        kind: Which values are taken.
        group_by: What names the group, None for none.
        windows: Text of a window -> names of the aggregates over it.
        partials: How many partial results are kept or worked out for all of them.
    """

    event: tuple[str, ...]
    where: str | None
    value: str | None
    kind: str
    group_by: str | None
    windows: dict[str, list[str]]
    partials: int

    @property
    def names(self) -> list[str]:
        """Names of all its aggregates."""
        return [name for names in self.windows.values() for name in names]


class Near(msgspec.Struct, frozen=True):
    """Two streams that differ in one thing only, and so are kept apart.

    Args:
        first: An aggregate of the one.
        second: An aggregate of the other.
        part: What differs: ``event``, ``where``, ``value``, ``kind`` or ``group_by``.
        of_first: What it is there.
        of_second: What it is there.
    """

    first: str
    second: str
    part: str
    of_first: str
    of_second: str


def shared(plan: Plan) -> list[Shared]:
    """Give the streams of a plan, those with most readers first."""
    parts = plan.parts
    found = []
    specs = {spec.name: spec for spec in plan.specs}
    for stream, member in zip(parts.streams, parts.members, strict=True):
        windows: dict[str, list[str]] = {}
        partials = set()
        for reading in parts.readings.values():
            if reading.stream is stream:
                window = text_of_window(specs[reading.name].window)
                windows.setdefault(window, []).append(reading.name)
                partials.add((window, reading.operation.key))
        found.append(
            Shared(
                tuple(sorted(member.events or ())),
                _text(member, "where"),
                _text(member, "value"),
                stream.kind,
                _text(member, "group_by"),
                windows,
                len(partials),
            )
        )
    return sorted(found, key=lambda one: -len(one.names))


def near(plan: Plan) -> Iterator[Near]:
    """Give pairs of streams that differ in one part; of many alike each with the one before."""
    streams = shared(plan)
    for part in _PARTS:
        before: dict[tuple[object, ...], Shared] = {}
        for stream in streams:
            rest = tuple(getattr(stream, name) for name in _PARTS if name != part)
            other = before.get(rest)
            if other is not None:
                yield Near(
                    other.names[0],
                    stream.names[0],
                    part,
                    _said(getattr(other, part)),
                    _said(getattr(stream, part)),
                )
            before[rest] = stream


def text_of_window(window: Window) -> str:
    """Write a window down.

    >>> from udfs.aggregation.specs import Window
    >>> text_of_window(Window("hopping", 3_600_000, 60_000))
    'sliding 1h, hop 1m'
    """
    length = window.length
    if window.kind == "lifetime":
        return "lifetime"
    if window.kind == "last":
        return f"last {length}"
    text = length if isinstance(length, str) else format_duration(length)
    if window.kind == "hopping":
        return f"sliding {text}, hop {format_duration(window.hop_ms)}"
    return f"{window.kind} {text}" + (f", {window.zone}" if window.zone else "")


def _text(spec: Spec, part: str) -> str | None:
    return normal_text(getattr(spec, part))


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "all types"
    return "none" if value is None else str(value)
