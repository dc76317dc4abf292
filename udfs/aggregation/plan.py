"""The plan of a set of aggregates: what they share is worked out once.

Specs with the same event types, condition and value read one stream of items; its sliding windows
share raw entries and tiles, and functions of one window share partial results. An event goes
through each condition once and each value once, whatever the number of specs. Values are worked
out when they are read and kept until the next event of their stream, or until time alone changes
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from udfs.aggregation import legacy
from udfs.aggregation import state as states
from udfs.aggregation.ages import kept_by
from udfs.aggregation.derived import in_order, needed, reads_of, rests_of
from udfs.aggregation.intake import Intake
from udfs.aggregation.parts import Parts
from udfs.aggregation.reader import Reader
from udfs.aggregation.reading import reading
from udfs.aggregation.sifting import Sifter
from udfs.aggregation.specs import key_of
from udfs.aggregation.state import NEVER, State
from udfs.expressions import EvaluationError
from udfs.slices import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from udfs.aggregation.specs import Spec
    from udfs.events.event import Event
    from udfs.expressions import CodeCache
    from udfs.slices import Work

_READERS: Final = 1_000
"""So many different sets of names are remembered."""


class Plan:
    """Compiled aggregates. Holds no user's data; counters aside, it never changes.

    Args:
        specs: Checked specs.
        parts: Of those that are not derived.
        intake: Of the parts.
        sifter: Of the parts.

    Attributes:
        names: Of all aggregates, as given.
        specs: The specs.
        parts: Streams and readings made from them.
        event_types: Types that concern it, None for all.
        has_hot: Whether any aggregate is hot.
        retention_ms: How long after its last event a user's state matters; None: for ever.
        rests_on: By name the aggregates that are worked out for it: itself, or what it is derived
            from.
        kept: What those that are not derived keep, by name.
    """

    def __init__(self, specs: Sequence[Spec], parts: Parts, intake: Intake, sifter: Sifter) -> None:
        self.specs = tuple(specs)
        self.names: tuple[str, ...] = tuple(spec.name for spec in specs)
        self.parts = parts
        self._intake = intake
        self._sifter = sifter
        derived = {one.name: one.derive for one in specs if one.derive is not None}
        self._derived = [(name, derived[name]) for name in in_order(reads_of(specs))[0]]
        self.rests_on = rests_of(specs)
        self.kept = {name: kept for name, one in parts.readings.items() if (kept := kept_by(one))}
        self._hot = tuple(one.name for one in specs if one.tier == "hot")
        self.has_hot = bool(self._hot)
        self._numbered = 0
        self._readers: dict[tuple[str, ...], Reader] = {}
        streams = self.parts.streams
        self._hash = key_of(sorted(stream.key for stream in streams), sorted(self.parts.cells))
        self.event_types = self._intake.event_types
        retentions = [stream.retention_ms for stream in streams]
        bounded = [one for one in retentions if one is not None]
        self.retention_ms: int | None = (
            max(bounded, default=0) if len(bounded) == len(retentions) else None
        )
        self.update: Callable[[State, Event], None] = self._intake.update
        """``update(state, event)`` takes one event in, late or not, in order of arrival. HOT."""
        self._derive_errors = 0

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
        return finish(cls.compiling(specs, cache, where))

    @classmethod
    def compiling(
        cls,
        specs: Sequence[Mapping[str, Any]],
        cache: CodeCache | None = None,
        where: str = "aggregates",
    ) -> Work[Plan]:
        """Do what `compile` does, a spec at a time."""
        return (yield from cls.making((yield from reading(specs, cache, where))))

    @classmethod
    def making(cls, specs: Sequence[Spec]) -> Work[Plan]:
        """Make the plan of checked specs, piece by piece.

        Args:
            specs: What derived ones read must be among them; see `needed`.
        """
        parts = yield from Parts.making([spec for spec in specs if spec.derive is None])
        sifter = Sifter(parts.streams)
        intake = yield from Intake.making(parts, sifter)
        return cls(specs, parts, intake, sifter)

    @property
    def counters(self) -> dict[str, int]:
        """What was passed over since the plan was compiled, by reason; see docs/aggregates.md."""
        return self._intake.counters | self.parts.counters | {"derive_errors": self._derive_errors}

    def decode(self, blob: bytes) -> State:
        """Read a user's state. HOT.

        Args:
            blob: What `encode` of this or an earlier plan gave; empty for a new user.

        Returns:
            The state; what this plan has no use for is dropped.

        Raises:
            StateIncompatible: Not a blob, or one of a later version.
        """
        if not blob:
            state = State(self._hash, NEVER)
        elif blob[0] == legacy.VERSION:
            state = legacy.read(blob, self._hash, self.specs, self.parts)
        else:
            state = states.decode(blob)
            if state.plan != self._hash:
                state.plan = self._hash
                self._sifter.adopt(state, blob[:1])
        state.tidy_at = self._sifter.next_tidying(state.newest)
        return state

    def encode(self, state: State) -> bytes:
        """Write a user's state; empty if there is nothing to keep. HOT."""
        return state.encode()

    def read(self, state: State, names: Iterable[str], at: int) -> dict[str, Any]:
        """Give values at a time. HOT.

        Args:
            state: The user's state; only what is remembered of values changes.
            names: Which aggregates.
            at: Milliseconds, not before any event that the state has taken in.

        Returns:
            Name -> value. Lists and maps may be parts of the state: they must not be changed.

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
        wanted = tuple(names)
        reader = self._readers.get(wanted)
        if reader is None:
            reader = self._reader(wanted)
        values = reader.read(state, at)
        for name, derive in reader.derived:
            try:
                values[name] = derive.value(None, None, values)
            except EvaluationError:
                self._derive_errors += 1
                values[name] = None
        if not reader.derived:
            return values
        return {name: values[name] for name in wanted}

    def cut(self, state: State, names: Iterable[str], at: int) -> dict[str, int]:
        """Give the aggregates for whose windows there were too many events to keep.

        Args:
            state: The user's.
            names: Aggregates that were just read.
            at: When they were read, ms.

        Returns:
            By name the time from which none is missing, ms.
        """
        found = {}
        for name in names if state.cut else ():
            since = max((state.cut.get(base, 0) for base in self.rests_on[name]), default=0)
            if since > at:
                found[name] = since
        return found

    def prepare(self, state: State) -> None:
        """Work out what is hot, so that a reading soon after finds it."""
        if self._hot and state.newest >= 0:
            self.read(state, self._hot, state.newest)

    def _reader(self, wanted: tuple[str, ...]) -> Reader:
        missing = set(wanted).difference(self.names)
        if missing:
            raise KeyError(f"no aggregate {min(missing)!r}; there are {sorted(self.names)}")
        names = {one.name for one in needed(self.specs, wanted)}
        ordered = dict.fromkeys((*wanted, *self.names))
        base = [name for name in ordered if name in names and name in self.parts.readings]
        derived = [(name, derive) for name, derive in self._derived if name in names]
        if len(self._readers) >= _READERS:
            self._readers.clear()
        self._numbered += 1
        reader = self._readers[wanted] = Reader(self._numbered, self.parts, base, derived)
        return reader
