"""The plan of a set of aggregates: one pass over an event updates all that it concerns.

State of one user, as bytes: one byte of version (1), then the MessagePack array
``[plan, newest, sections]``. ``plan`` is the hash of the plan that wrote it, ``newest`` the
largest event time that concerned it, ``sections`` maps the structure hash of an aggregate to
what its function keeps. A changed spec has another hash: its old section is dropped when the
blob is next read, the other sections live on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from xxhash import xxh3_64_intdigest

from udfs.aggregation.count import LifetimeCount, SlidingCount
from udfs.aggregation.last import Last
from udfs.aggregation.section import Section
from udfs.aggregation.specs import Spec, read_specs
from udfs.aggregation.sum import LifetimeSum, SlidingSum
from udfs.errors import StateIncompatible
from udfs.events.event import Event
from udfs.expressions import CodeCache, EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VERSION: Final = b"\x01"
_VERSION: Final = VERSION[0]


NEVER: Final = -(2**62)
"""A time before every event: nothing was taken in yet."""


class State(msgspec.Struct, array_like=True, gc=False):
    """Aggregates of one user; made by `Plan.decode` only.

    Args:
        plan: Hash of the plan it belongs to.
        newest: Largest event time that concerned the plan; readings are not before it.
        sections: Structure hash -> what the function keeps.
    """

    plan: int
    newest: int
    sections: dict[int, Any]


_Test: TypeAlias = Callable[[Event, None, None], bool]
_Value: TypeAlias = Callable[[Event, None, None], Any]
_Update: TypeAlias = Callable[[dict[int, Any], int, int, Any], None]
_Streams: TypeAlias = tuple[
    tuple[_Test | None, tuple[tuple[_Value | None, tuple[_Update, ...]], ...]], ...
]
"""Per condition, per value, the sections that take it: each is evaluated once an event."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


class Plan:
    """Compiled aggregates. Holds no user's data; counters aside, it never changes.

    Args:
        specs: Checked specs.
    """

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.names: tuple[str, ...] = tuple(spec.name for spec in specs)
        sections: dict[int, Section] = {}
        for spec in specs:
            if spec.key not in sections:
                sections[spec.key] = _section(spec)
        self._by_name = {spec.name: sections[spec.key] for spec in specs}
        self._sections = sections
        self._hash: int = xxh3_64_intdigest(_encode(sorted(sections)))
        self._wheres = {s.where.text: s.where for s in specs if s.where is not None}
        self._untyped = _streams(specs, None, sections)
        types = sorted({t for spec in specs for t in spec.events or ()})
        self._index = {t: _streams(specs, t, sections) for t in types}
        self.event_types: frozenset[str] | None = None if self._untyped else frozenset(types)
        windows = [spec.window_ms for spec in specs]
        bounded = [window for window in windows if window is not None]
        self.retention_ms: int | None = (
            max(bounded, default=0) if len(bounded) == len(windows) else None
        )
        self._value_errors = 0
        self._not_finite = 0

    @classmethod
    def compile(
        cls,
        specs: Sequence[Mapping[str, Any]],
        cache: CodeCache | None = None,
        where: str = "aggregates",
    ) -> Plan:
        """Compile specs.

        Args:
            specs: As in ``aggregate.schema.json``.
            cache: Compiled expressions to reuse.
            where: JSON path of the list, for faults.

        Returns:
            The plan.

        Raises:
            ConfigInvalid: With all faults of all specs.
        """
        return cls(read_specs(specs, cache, where))

    @property
    def counters(self) -> dict[str, int]:
        """What was passed over since the plan was compiled, by reason."""
        sections = self._sections.values()
        return {
            "where_errors": sum(where.errors for where in self._wheres.values()),
            "value_errors": self._value_errors,
            "not_finite": self._not_finite,
            "wrong_kind": sum(section.skipped for section in sections),
            "sum_beyond_64_bits": sum(getattr(s, "beyond_int64", 0) for s in sections),
        }

    def decode(self, blob: bytes) -> State:
        """Read a user's state. HOT.

        Args:
            blob: What `encode` of this or an earlier plan gave; empty for a new user.

        Returns:
            The state; sections that this plan has no use for are dropped.

        Raises:
            StateIncompatible: Not a blob, or one of a later version.
        """
        if not blob:
            return State(self._hash, NEVER, {})
        if blob[0] != _VERSION:
            raise StateIncompatible(
                f"state of aggregates has version {blob[0]}, this code reads version {_VERSION}: "
                "restore with the release that wrote it, or start without this state"
            )
        try:
            state = _decode(blob[1:])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateIncompatible(
                f"state of aggregates is damaged ({error}): restore another checkpoint"
            ) from error
        if state.plan != self._hash:
            state.plan = self._hash
            state.sections = {k: v for k, v in state.sections.items() if k in self._sections}
        return state

    def encode(self, state: State) -> bytes:
        """Write a user's state; empty if there is nothing to keep. HOT."""
        return VERSION + _encode(state) if state.sections else b""

    def update(self, state: State, event: Event) -> None:  # noqa: C901 - one pass, because it is hot
        """Take one event in, late or not. HOT.

        Args:
            state: The user's state, changed in place.
            event: In order of arrival.
        """
        streams = self._index.get(event.event_type, self._untyped)
        if not streams:
            return
        time = event.event_time
        if time > state.newest:  # noqa: PLR1730 - max() costs twice as much
            state.newest = time
        newest, kept = state.newest, state.sections
        for test, values in streams:
            if test is not None and not test(event, None, None):
                continue
            for value_of, updates in values:
                value = None
                if value_of is not None:
                    try:
                        value = value_of(event, None, None)
                    except EvaluationError:
                        self._value_errors += 1
                        continue
                    if value is None:
                        continue
                    if type(value) is float and value - value != 0.0:
                        self._not_finite += 1
                        continue
                for update in updates:
                    update(kept, time, newest, value)

    def read(self, state: State, names: Iterable[str], at: int) -> dict[str, Any]:
        """Give values at a time.

        Args:
            state: The user's state; not changed.
            names: Which aggregates.
            at: Milliseconds, not before any event that the state has taken in.

        Returns:
            Name -> value.

        Raises:
            ValueError: `at` lies before the newest event: what left the windows since then
                is gone.
            KeyError: An aggregate that the plan does not have.
        """
        if at < state.newest:
            raise ValueError(
                f"aggregates cannot be read at {at}: they hold events up to {state.newest}; "
                "read at the time of the newest event or later"
            )
        sections = state.sections
        return {name: self._by_name[name].read(sections, at) for name in names}


def _section(spec: Spec) -> Section:
    key, window_ms = spec.key, spec.window_ms
    if spec.function == "last":
        return Last(key, window_ms)
    if spec.function == "sum":
        return LifetimeSum(key) if window_ms is None else SlidingSum(key, window_ms)
    return LifetimeCount(key) if window_ms is None else SlidingCount(key, window_ms)


def _streams(
    specs: Sequence[Spec], event_type: str | None, sections: Mapping[int, Section]
) -> _Streams:
    """Group what concerns an event type by condition and value, each section once."""
    streams: dict[str | None, dict[str | None, dict[int, Spec]]] = {}
    for spec in specs:
        if spec.events is None or event_type in spec.events:
            where = None if spec.where is None else spec.where.text
            value = None if spec.value is None else spec.value.text
            streams.setdefault(where, {}).setdefault(value, {}).setdefault(spec.key, spec)
    return tuple(
        (_test(values), tuple((_value(same), _updates(same, sections)) for same in values.values()))
        for values in streams.values()
    )


def _test(values: Mapping[str | None, Mapping[int, Spec]]) -> _Test | None:
    where = next(spec.where for same in values.values() for spec in same.values())
    return None if where is None else where.test


def _value(same: Mapping[int, Spec]) -> _Value | None:
    value = next(spec.value for spec in same.values())
    return None if value is None else value.value


def _updates(keys: Iterable[int], sections: Mapping[int, Section]) -> tuple[_Update, ...]:
    return tuple(sections[key].update for key in keys)
