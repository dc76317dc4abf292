"""What an event goes through: type, conditions, groups and values, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from udfs.aggregation.kinds import TAKES, Take
from udfs.aggregation.specs import normal_text
from udfs.expressions import EvaluationError, text_of

if TYPE_CHECKING:
    from udfs.aggregation.parts import Parts
    from udfs.aggregation.specs import Spec
    from udfs.aggregation.state import State
    from udfs.aggregation.stream import Stream
    from udfs.events.event import Event
    from udfs.expressions import Expression

MAX_GROUP_CHARS: Final = 1_024
"""Longer texts name no group: the event is passed over, for aggregates by that group."""

_Test: TypeAlias = Callable[["Event", None, None], bool]
_Value: TypeAlias = Callable[["Event", None, None], Any]
_Sink: TypeAlias = Callable[["State", int, Any], None]
_Kinds: TypeAlias = tuple[tuple[Take | None, tuple["Stream", ...], tuple[_Sink, ...]], ...]
_Values: TypeAlias = tuple[tuple[_Value | None, _Kinds], ...]
_Groups: TypeAlias = tuple[
    tuple[_Value, tuple[tuple[_Value | None, tuple[tuple[Take | None, "Stream"], ...]], ...]], ...
]
_Ways: TypeAlias = tuple[tuple[_Test | None, _Values, _Groups], ...]
"""Per condition, per value, per kind of value the streams that take it; then those by group."""


class Intake:
    """Leads events to the streams of a plan.

    Args:
        parts: Of the plan.

    Attributes:
        event_types: Types that concern any stream, None for all.
    """

    def __init__(self, parts: Parts) -> None:
        pairs = list(zip(parts.members, parts.streams, strict=True))
        self._wheres = {
            normal_text(spec.where): spec.where for spec, _ in pairs if spec.where is not None
        }
        types = sorted({name for spec, _ in pairs for name in spec.events or ()})
        self._untyped = self._ways([pair for pair in pairs if pair[0].events is None])
        self._index = {
            name: self._ways(
                [pair for pair in pairs if pair[0].events is None or name in pair[0].events]
            )
            for name in types
        }
        self.event_types: frozenset[str] | None = None if self._untyped else frozenset(types)
        self._value_errors = 0
        self._not_finite = 0
        self._group_errors = 0
        self._group_too_long = 0

    @property
    def counters(self) -> dict[str, int]:
        """What was passed over, by reason."""
        return {
            "where_errors": sum(where.errors for where in self._wheres.values()),
            "value_errors": self._value_errors,
            "not_finite": self._not_finite,
            "group_errors": self._group_errors,
            "group_too_long": self._group_too_long,
        }

    def update(self, state: State, event: Event) -> None:  # noqa: C901, PLR0912 - one pass, because it is hot
        """Take one event in, late or not. HOT.

        Args:
            state: The user's state, changed in place.
            event: In order of arrival.
        """
        ways = self._index.get(event.event_type, self._untyped)
        if not ways:
            return
        time = event.event_time
        if time > state.newest:  # noqa: PLR1730 - max() costs twice as much
            state.newest = time
        for test, values, groups in ways:
            if test is not None and not test(event, None, None):
                continue
            for value_of, kinds in values:
                if value_of is None:
                    for _, _, sinks in kinds:
                        for sink in sinks:
                            sink(state, time, True)  # noqa: FBT003 - stands for the event
                    continue
                value = self._value(value_of, event)
                if value is None:
                    continue
                for take, streams, sinks in kinds:
                    item = take(value)  # type: ignore[misc]
                    if type(item) is float or type(item) is int:
                        for sink in sinks:
                            sink(state, time, item)
                    elif item is None:
                        streams[0].wrong_kind += 1
                    else:
                        for stream in streams:
                            if stream.takes(item):
                                stream.update(state, time, item)
            if groups:
                self._grouped(state, event, time, groups)

    def _value(self, value_of: _Value, event: Event) -> Any:
        """Give the value, None if there is none."""
        try:
            value = value_of(event, None, None)
        except EvaluationError:
            self._value_errors += 1
            return None
        if type(value) is float and value - value != 0.0:
            self._not_finite += 1
            return None
        return value

    def _grouped(self, state: State, event: Event, time: int, groups: _Groups) -> None:
        for group_of, values in groups:
            group = self._group(group_of, event)
            if group is None:
                continue
            for value_of, kinds in values:
                value = True if value_of is None else self._value(value_of, event)
                if value is None:
                    continue
                for take, stream in kinds:
                    item = value if take is None else take(value)
                    if item is None:
                        stream.wrong_kind += 1
                    elif stream.takes(item):
                        stream.update_group(state, group, time, item)

    def _group(self, group_of: _Value, event: Event) -> str | None:
        try:
            found = group_of(event, None, None)
            if found is None:
                return None
            text = text_of(found)
        except EvaluationError:
            self._group_errors += 1
            return None
        if len(text) > MAX_GROUP_CHARS:
            self._group_too_long += 1
            return None
        return text

    def _ways(self, pairs: list[tuple[Spec, Stream]]) -> _Ways:
        """Order what concerns an event type by condition, group, value and kind."""
        by_test: dict[str | None, list[tuple[Spec, Stream]]] = {}
        for pair in pairs:
            by_test.setdefault(normal_text(pair[0].where), []).append(pair)
        return tuple(
            (
                self._wheres[text].test if text is not None else None,
                _values([pair for pair in same if pair[0].group_by is None]),
                _groups([pair for pair in same if pair[0].group_by is not None]),
            )
            for text, same in by_test.items()
        )


def _values(pairs: list[tuple[Spec, Stream]]) -> _Values:
    by_value: dict[str | None, dict[str, list[tuple[Spec, Stream]]]] = {}
    for pair in pairs:
        kinds = by_value.setdefault(normal_text(pair[0].value), {})
        kinds.setdefault("event" if pair[1].bare else _kind(pair), []).append(pair)
    return tuple(
        (
            _evaluate(next(iter(kinds.values()))[0][0].value),
            tuple(
                (
                    TAKES.get(kind),
                    tuple(stream for _, stream in same),
                    tuple(stream.update for _, stream in same),
                )
                for kind, same in kinds.items()
            ),
        )
        for kinds in by_value.values()
    )


def _groups(pairs: list[tuple[Spec, Stream]]) -> _Groups:
    by_group: dict[str | None, dict[str | None, list[tuple[Spec, Stream]]]] = {}
    for pair in pairs:
        values = by_group.setdefault(normal_text(pair[0].group_by), {})
        values.setdefault(normal_text(pair[0].value), []).append(pair)
    made = []
    for values in by_group.values():
        group_by = next(iter(values.values()))[0][0].group_by
        assert group_by is not None
        made.append(
            (
                group_by.value,
                tuple(
                    (
                        _evaluate(same[0][0].value),
                        tuple((TAKES.get(_kind(pair)), pair[1]) for pair in same),
                    )
                    for same in values.values()
                ),
            )
        )
    return tuple(made)


def _kind(pair: tuple[Spec, Stream]) -> str:
    return pair[1].kind


def _evaluate(value: Expression | None) -> _Value | None:
    return None if value is None else value.value
