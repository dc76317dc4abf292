"""What an event goes through: type, conditions, groups and values, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from udfs.aggregation.kinds import TAKES, Take
from udfs.aggregation.specs import normal_text
from udfs.expressions import EvaluationError, text_of
from udfs.expressions.ladder import Comparison, Ladder, comparison_of, sort_out

if TYPE_CHECKING:
    from udfs.aggregation.parts import Parts
    from udfs.aggregation.sifting import Sifter
    from udfs.aggregation.specs import Spec
    from udfs.aggregation.state import State
    from udfs.aggregation.stream import Stream
    from udfs.events.event import Event
    from udfs.expressions import Expression
    from udfs.slices import Work

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
_Way: TypeAlias = tuple[_Test | None, _Values, _Groups]
"""A condition, per value, per kind of value the streams that take it; then those by group."""


class _Ways(NamedTuple):
    """Where the events of a type go.

    Args:
        asked: Each condition is asked.
        ladders: Conditions that compare one property are looked up together: a way with its
            condition, and without.
    """

    asked: tuple[_Way, ...]
    ladders: tuple[Ladder[tuple[_Way, _Way]], ...]


_NOWHERE: Final = _Ways((), ())


class Intake:
    """Leads events to the streams of a plan.

    Attributes:
        event_types: Types that concern any stream, None for all.
    """

    def __init__(self, sifter: Sifter) -> None:
        self._sifter = sifter
        self._wheres: dict[str, Expression] = {}
        self._untyped = _NOWHERE
        self._index: dict[str, _Ways] = {}
        self.event_types: frozenset[str] | None = frozenset()
        self._value_errors = 0
        self._not_finite = 0
        self._group_errors = 0
        self._group_too_long = 0

    @classmethod
    def making(cls, parts: Parts, sifter: Sifter) -> Work[Intake]:
        """Index the streams of a plan, an event type at a time.

        Args:
            parts: Of the plan.
            sifter: Tidies states once in a while.
        """
        intake = cls(sifter)
        of_all: list[_Member] = []
        by_type: dict[str, list[_Member]] = {}
        for spec, stream in zip(parts.members, parts.streams, strict=True):
            member = _Member(spec, stream)
            if member.where is not None and spec.where is not None:
                intake._wheres[member.where] = spec.where
            if spec.events is None:
                of_all.append(member)
            for name in spec.events or ():
                by_type.setdefault(name, []).append(member)
            yield
        if of_all:
            intake._untyped = intake._ways(of_all)
        for name, members in by_type.items():
            intake._index[name] = intake._ways([*of_all, *members])
            yield
        intake.event_types = None if of_all else frozenset(by_type)
        return intake

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
        if ways is _NOWHERE:
            return
        time = event.event_time
        if time > state.newest:
            state.newest = time
            if time >= state.tidy_at:
                state.tidy_at = self._sifter.next_tidying(time)
                self._sifter.tidy(state)
        known: dict[_Value, Any] = {}
        for test, values, groups in _climbed(ways, event) if ways.ladders else ways.asked:
            if test is not None and not test(event, None, None):
                continue
            for value_of, kinds in values:
                if value_of is None:
                    for _, _, sinks in kinds:
                        for sink in sinks:
                            sink(state, time, True)  # noqa: FBT003 - stands for the event
                    continue
                if value_of in known:
                    value = known[value_of]
                else:
                    value = known[value_of] = self._value(value_of, event)
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
                self._grouped(state, event, groups, known)

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

    def _grouped(
        self, state: State, event: Event, groups: _Groups, known: dict[_Value, Any]
    ) -> None:
        for group_of, values in groups:
            group = self._group(group_of, event)
            if group is None:
                continue
            for value_of, kinds in values:
                value: Any = True
                if value_of is not None:
                    if value_of not in known:
                        known[value_of] = self._value(value_of, event)
                    value = known[value_of]
                if value is None:
                    continue
                for take, stream in kinds:
                    item = value if take is None else take(value)
                    if item is None:
                        stream.wrong_kind += 1
                    elif stream.takes(item):
                        stream.update_group(state, group, event.event_time, item)

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

    def _ways(self, members: list[_Member]) -> _Ways:
        """Order what concerns an event type by condition, group, value and kind."""
        by_test: dict[str | None, list[_Member]] = {}
        for member in members:
            by_test.setdefault(member.where, []).append(member)
        made: list[tuple[Comparison | None, tuple[_Way, _Way]]] = []
        for text, same in by_test.items():
            values = _values([one for one in same if one.group_by is None])
            groups = _groups([one for one in same if one.group_by is not None])
            test = None if text is None else self._wheres[text].test
            made.append((comparison_of(text), ((test, values, groups), (None, values, groups))))
        ladders, asked = sort_out(made)
        return _Ways(tuple(way for way, _ in asked), ladders)


def _climbed(ways: _Ways, event: Event) -> list[_Way]:
    """Give the ways that an event may go; those whose condition is known to hold without it."""
    found = [*ways.asked]
    for ladder in ways.ladders:
        holding = ladder.holding(event.props)
        if holding is None:
            found += [way for way, _ in ladder.members]
        else:
            found += [sure for _, sure in holding]
    return found


class _Member:
    """A stream with a spec that reads it, and what tells its expressions apart."""

    __slots__ = ("group_by", "spec", "stream", "value", "where")

    def __init__(self, spec: Spec, stream: Stream) -> None:
        self.spec = spec
        self.stream = stream
        self.where = normal_text(spec.where)
        self.value = normal_text(spec.value)
        self.group_by = normal_text(spec.group_by)

    @property
    def value_of(self) -> _Value | None:
        """What gives its value, None for the event itself."""
        return None if self.spec.value is None else self.spec.value.value


def _values(members: list[_Member]) -> _Values:
    by_value: dict[str | None, dict[str, list[_Member]]] = {}
    for one in members:
        kinds = by_value.setdefault(one.value, {})
        kinds.setdefault("event" if one.stream.bare else one.stream.kind, []).append(one)
    return tuple(
        (
            next(iter(kinds.values()))[0].value_of,
            tuple(
                (
                    TAKES.get(kind),
                    tuple(one.stream for one in same),
                    tuple(one.stream.update for one in same),
                )
                for kind, same in kinds.items()
            ),
        )
        for kinds in by_value.values()
    )


def _groups(members: list[_Member]) -> _Groups:
    by_group: dict[str | None, dict[str | None, list[_Member]]] = {}
    for one in members:
        by_group.setdefault(one.group_by, {}).setdefault(one.value, []).append(one)
    made = []
    for values in by_group.values():
        group_by = next(iter(values.values()))[0].spec.group_by
        assert group_by is not None
        made.append(
            (
                group_by.value,
                tuple(
                    (
                        same[0].value_of,
                        tuple((TAKES.get(one.stream.kind), one.stream) for one in same),
                    )
                    for same in values.values()
                ),
            )
        )
    return tuple(made)
