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
from udfs.aggregation.intake import Intake
from udfs.aggregation.parts import Parts
from udfs.aggregation.reader import Reader
from udfs.aggregation.reading import in_order, read_specs
from udfs.aggregation.specs import key_of
from udfs.aggregation.state import NEVER, State
from udfs.expressions import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from udfs.aggregation.specs import Spec
    from udfs.aggregation.state import Entries, Entry
    from udfs.aggregation.stream import Stream
    from udfs.events.event import Event
    from udfs.expressions import CodeCache

_READERS: Final = 1_000
"""So many different sets of names are remembered."""


class Plan:
    """Compiled aggregates. Holds no user's data; counters aside, it never changes.

    Args:
        specs: Checked specs.

    Attributes:
        names: Of all aggregates, as given.
        specs: The specs.
        parts: Streams and readings made from them.
        event_types: Types that concern it, None for all.
        has_hot: Whether any aggregate is hot.
        retention_ms: How long after its last event a user's state matters; None: for ever.
    """

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = tuple(specs)
        self.names: tuple[str, ...] = tuple(spec.name for spec in specs)
        self.parts = Parts([spec for spec in specs if spec.derive is None])
        self._intake = Intake(self.parts)
        derived = {one.name: one.derive for one in specs if one.derive is not None}
        self._reads = {name: derive.values_used for name, derive in derived.items()}
        self._derived = [(name, derived[name]) for name in in_order(self._reads)[0]]
        self._hot = tuple(one.name for one in specs if one.tier == "hot")
        self.has_hot = bool(self._hot)
        self._numbered = 0
        self._readers: dict[tuple[str, ...], Reader] = {}
        streams = self.parts.streams
        self._hash = key_of(sorted(stream.key for stream in streams), sorted(self.parts.cells))
        self._ungrouped = {one.key: one for one in streams if one.max_groups is None}
        self._grouped = {one.key: one for one in streams if one.max_groups is not None}
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
        return cls(read_specs(specs, cache, where))

    def only(self, names: Collection[str]) -> Plan:
        """Give the plan of some aggregates and of what they are derived from.

        Args:
            names: Which; unknown ones are passed over.
        """
        needed = self._needed(names)
        if needed.issuperset(self.names):
            return self
        return Plan([spec for spec in self.specs if spec.name in needed])

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
            return State(self._hash, NEVER)
        if blob[0] == legacy.VERSION:
            return legacy.read(blob, self._hash, self.specs, self.parts)
        state = states.decode(blob)
        if state.plan != self._hash:
            self._adopt(state)
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

    def prepare(self, state: State) -> None:
        """Work out what is hot, so that a reading soon after finds it."""
        if self._hot and state.newest >= 0:
            self.read(state, self._hot, state.newest)

    def tidy(self, state: State) -> None:
        """Drop what no reading needs any more: streams that brought nothing for long."""
        state.settle()
        newest = state.newest
        self._sift(state, lambda stream, entry: stream.forget(entry, newest))

    def _reader(self, wanted: tuple[str, ...]) -> Reader:
        needed = self._needed(wanted)
        ordered = dict.fromkeys((*wanted, *self.names))
        base = [name for name in ordered if name in needed and name not in self._reads]
        missing = needed.difference(self.names)
        if missing:
            raise KeyError(f"no aggregate {min(missing)!r}; there are {sorted(self.names)}")
        derived = [(name, derive) for name, derive in self._derived if name in needed]
        if len(self._readers) >= _READERS:
            self._readers.clear()
        self._numbered += 1
        reader = self._readers[wanted] = Reader(self._numbered, self.parts, base, derived)
        return reader

    def _needed(self, names: Iterable[str]) -> set[str]:
        """Add what derived aggregates are derived from."""
        needed = set(names)
        for name, _ in reversed(self._derived):
            if name in needed:
                needed |= self._reads[name]
        return needed

    def _adopt(self, state: State) -> None:
        """Take over a state that another plan wrote."""
        state.plan = self._hash
        self._sift(state, lambda stream, entry: stream.adopt(entry))

    def _sift(self, state: State, keep: Callable[[Stream, Entry], bool]) -> None:
        """Keep the entries of known streams that have anything left."""
        for key in state.entries.keys():  # noqa: SIM118 - a list
            _sift_one(state.entries, key, self._ungrouped.get(key), keep)
        for key in state.grouped_keys():
            groups, stream = state.groups(key), self._grouped.get(key)
            if groups is None or stream is None:
                state.remove_groups(key)
                continue
            for group in groups.keys():  # noqa: SIM118 - a list
                entry = groups.get(group)
                if entry is not None:
                    keep(stream, entry)
                    groups.changed[group] = None


def _sift_one(
    entries: Entries[Any], key: Any, stream: Stream | None, keep: Callable[[Stream, Entry], bool]
) -> None:
    entry = None if stream is None else entries.get(key)
    if stream is None or entry is None or not keep(stream, entry):
        entries.remove(key)
    else:
        entries.changed[key] = None
