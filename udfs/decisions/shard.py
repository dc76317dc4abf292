"""The work of one shard: a batch of records in, records for Kafka out.

Everything that design says about order and time happens here: clocks per partition,
duplicates, lateness, reorder buffers, deadlines, and the one read and write of a subject's
state in a batch. It knows neither Flink nor the wall clock: state comes through `ShardStore`,
time as an argument.

Results do not depend on where batches are cut. Each event carries the firing clock of its
partition as it was before and after its arrival; whatever that clock had made due happens
first, even when another subject's event had moved it inside the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from udfs.decisions.decider import Decider
from udfs.decisions.journal import MOST_BYTES, MOST_EVENTS, Entry, decode_entry, encode_entry
from udfs.decisions.killed import NOTHING_KILLED
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet, Record, Topics
from udfs.decisions.residents import Resident, Residents
from udfs.decisions.subject import NEVER, Held, Subject
from udfs.decisions.wheel import ChunkStore, Wheel
from udfs.errors import InvalidEvent, StateIncompatible
from udfs.events import dedupe
from udfs.events.codec import decode, from_msgpack, to_msgpack
from udfs.events.event import Event

HEADER_VERSION: Final = 1

COUNTS: Final = (
    "in", "applied", "late", "dead", "doubled", "decisions", "limited", "refused", "killed",
    "matches", "expression_errors", "regressions", "moved",
)  # fmt: skip
"""What a shard counts. in = applied + late + dead + doubled + held back in reorder buffers;
limited, refused (condition false) and killed are triggers that gave no decision; regressions
are offsets that fell, moved are subjects that turned up in another partition. Expressions are
shared by the shards of a worker: their errors are counted by the shard that tells next."""


class Clock(msgspec.Struct, array_like=True):
    """Clock of one partition as this shard sees it.

    Args:
        newest: Largest event time seen, ms.
        offset: Largest offset seen.
    """

    newest: int
    offset: int


class Header(msgspec.Struct, array_like=True):
    """State of a shard as a whole.

    Args:
        version: Of this layout.
        revision: Of the program that the shard has last worked with, -1 for none.
        clocks: By partition.
        counts: See `COUNTS`; since the job was first started.
        timer_at: When its timer rings, wall clock ms, 0 for no timer.
        told: ``counts["in"]`` and ``counts["decisions"]`` when counts were last sent.
    """

    version: int = HEADER_VERSION
    revision: int = -1
    clocks: dict[int, Clock] = {}
    counts: dict[str, int] = {}
    timer_at: int = 0
    told: tuple[int, int] = (0, 0)


class ShardStore(Protocol):
    """State of one shard: its header, its subjects, its deadlines."""

    @property
    def chunks(self) -> ChunkStore:
        """Chunks of the deadline wheel."""

    def header(self) -> bytes | None:
        """Give the header, or None for a shard that never worked."""

    def put_header(self, header: bytes) -> None:
        """Write the header."""

    def get(self, subject: str) -> bytes | None:
        """Give a subject's blob, or None."""

    def journal(self) -> list[bytes]:
        """Give the journal's entries in the order in which they were written."""

    def append(self, number: int, entry: bytes) -> None:
        """Write an entry of the journal.

        Args:
            number: How many there are already.
            entry: The entry.
        """

    def clear_journal(self) -> None:
        """Forget the journal."""

    def program(self) -> bytes | None:
        """Give the manifest under which the journal was written, or None."""

    def put_program(self, payload: bytes) -> None:
        """Write that manifest."""

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write the blobs of several subjects."""

    def remove(self, subject: str) -> None:
        """Forget a subject."""


class ShardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the core; meanings in docs/settings.md.

    Args:
        subject: Event field that names whom state belongs to.
        reorder: Hold events until the clock has reached them (``ordering: event_time``).
        out_of_orderness_ms: How far the clock stays behind the newest event.
        idle_advance_ms: A partition silent for so long has its clock moved by the wall
            clock, for deadlines only; None: never.
        max_future_ms: An event further ahead of the wall clock is dead.
        dedupe_window_ms: Event ids are remembered so long.
        subject_ttl_ms: State without a window is kept so long after the last event.
        max_event_bytes: Larger records are dead.
        counts_interval_ms: Counts are told to ``control`` at most so often.
        resident_subjects: Subjects whose decoded state is kept in memory, per shard.
        journal_events: Events after which the state of all subjects that changed is written.
        journal_bytes: Bytes of events after which it is.
        topics: Where records go.
    """

    subject: str = "user_id"
    reorder: bool = False
    out_of_orderness_ms: int = 5_000
    idle_advance_ms: int | None = 5_000
    max_future_ms: int = 300_000
    dedupe_window_ms: int = 600_000
    subject_ttl_ms: int = 30 * 86_400_000
    max_event_bytes: int = 1 << 20
    counts_interval_ms: int = 10_000
    resident_subjects: int = 2_000
    journal_events: int = MOST_EVENTS
    journal_bytes: int = MOST_BYTES
    topics: Topics = Topics()


Arrival = tuple[Event, int, int, int, int, bytes]
"""One event of a batch: decoded, the firing clock before and after it, partition, offset, bytes.
A plain tuple, because one is made for every event."""


class Shard:
    """One shard at work.

    Args:
        number: Of the shard.
        store: Its state.
        settings: Of the core.
        program: In force until `switch` is called.
        started_ms: Wall clock at the start of this attempt.
        recompile: Makes a program of a manifest (`Program.payload`): needed where a journal was
            written under another one.

    Attributes:
        killed: What the kill switches stop; set anew whenever they change.
    """

    def __init__(
        self, number: int, store: ShardStore, settings: ShardSettings, program: Program,
        started_ms: int, recompile: Callable[[bytes], Program] | None = None,
    ) -> None:  # fmt: skip
        self.number = number
        self.killed = NOTHING_KILLED
        self._store = store
        self._settings = settings
        self._started_ms = started_ms
        self._heard: dict[int, int] = {}
        self._fired: dict[int, int] = {}
        self._woken = 0
        self._header = _decode_header(store.header())
        self._counts = self._header.counts
        self._reorder = settings.reorder
        self._dedupe_window_ms = settings.dedupe_window_ms
        for name in COUNTS:
            self._counts.setdefault(name, 0)
        self._wheel = Wheel(store.chunks)
        self._residents = Residents(store, settings.resident_subjects)
        self._told_ms = started_ms
        self._entries = self._journaled_events = self._journaled_bytes = 0
        written_under = store.program()
        entries = store.journal()
        if entries:
            self._replay(entries, program, written_under, recompile)
        if written_under != program.payload:
            self._header.revision = -1  # announced with the next batch, and kept for its journal
        if self._header.timer_at <= started_ms:
            self._header.timer_at = 0  # it has rung since, or rings at once
        self._use(program)

    def _replay(
        self,
        entries: Sequence[bytes],
        program: Program,
        payload: bytes | None,
        recompile: Callable[[bytes], Program] | None,
    ) -> None:
        """Work off the journal again, and send nothing: all of it was sent before."""
        if payload is not None and payload != program.payload:
            if recompile is None:
                raise StateIncompatible(
                    f"the journal of shard {self.number} was written under another manifest, and "
                    "nothing was given to compile it"
                )
            program = recompile(payload)
        self._use(program)
        for blob in entries:
            entry = decode_entry(blob)
            self.killed = entry.killed
            outlet = Outlet(self._settings.topics, program.revision)
            self._work(outlet, entry)
        self.killed = NOTHING_KILLED
        self._heard.clear()  # silence is counted from the start of this attempt
        self._entries = len(entries)
        self.flush()
        self._residents.clear()

    # -- program ----------------------------------------------------------------------------

    def _use(self, program: Program) -> None:
        self._program = program
        self._retention_ms = program.retention_ms(
            self._settings.dedupe_window_ms, self._settings.subject_ttl_ms
        )
        self._decider = Decider(program, self._counts)
        self._update = program.plan.update
        self._plan_types = program.plan.event_types
        self._rule_types = program.machine.event_types
        self._flows_by_type = program.flows_by_type

    def switch(self, program: Program) -> None:
        """Take another program from the next batch on; state moves over as it is touched."""
        if program is not self._program:
            self.flush()
            self._residents.clear()
            self._use(program)

    # -- a batch ----------------------------------------------------------------------------

    def process(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        partitions: Sequence[int],
        offsets: Sequence[int],
        now_ms: int,
    ) -> list[Record]:
        """Work off one batch.

        Args:
            keys: Kafka keys, one a record.
            values: Kafka values; None is a tombstone.
            partitions: Kafka partitions.
            offsets: Kafka offsets.
            now_ms: Wall clock.

        Returns:
            Records for Kafka, in order for each subject.
        """
        outlet = Outlet(self._settings.topics, self._program.revision)
        self._announce(outlet)
        batch = Entry(self.killed, now_ms, keys, values, partitions, offsets)
        self._work(outlet, batch)
        self._tell(outlet, now_ms)
        self._note(batch)
        return outlet.records

    def _work(self, outlet: Outlet, batch: Entry) -> None:
        """Do all that depends on state, program and the batch alone; the journal does it again."""
        arrivals = self._receive(outlet, batch)
        for subject, items in arrivals.items():
            resident = self._residents.load(subject, self._program)
            for arrival in items:
                self._arrive(outlet, subject, resident, arrival)
            self._keep(subject, resident)
        for partition in set(batch.partitions):
            clock = self._header.clocks.get(partition)
            self._heard[partition] = batch.now_ms
            if clock is not None:
                self._fire(outlet, partition, clock.newest - self._settings.out_of_orderness_ms)

    def _receive(self, outlet: Outlet, batch: Entry) -> dict[str, list[Arrival]]:
        """Decode, refuse, move the clocks, and group by subject in order of arrival."""
        keys, values, partitions, offsets = (
            batch.keys, batch.values, batch.partitions, batch.offsets,
        )  # fmt: skip
        now_ms = batch.now_ms
        settings = self._settings
        subject_field = settings.subject
        counts = self._counts
        clocks = self._header.clocks
        latest = now_ms + settings.max_future_ms
        out_of_orderness_ms = settings.out_of_orderness_ms
        grouped: dict[str, list[Arrival]] = {}
        counts["in"] += len(values)
        for key, raw, partition, offset in zip(keys, values, partitions, offsets, strict=True):
            clock = clocks.get(partition)
            if clock is None:
                clock = clocks[partition] = Clock(-1, -1)
            if offset <= clock.offset:
                counts["regressions"] += 1
            else:
                clock.offset = offset
            try:
                event = decode(raw, subject_field, settings.max_event_bytes)
                subject = getattr(event, subject_field)
                if key is None or key != subject.encode():
                    raise _wrong_key(key, subject, subject_field)
                event_time = event.event_time
                if event_time > latest:
                    raise InvalidEvent(
                        "future",
                        "$.event_time",
                        f"{event_time} is {event_time - now_ms} ms ahead of the clock, "
                        f"allowed are {settings.max_future_ms}",
                    )
            except InvalidEvent as fault:
                counts["dead"] += 1
                outlet.dead(key, raw, partition, offset, fault)
                continue
            before = clock.newest - out_of_orderness_ms
            if event_time > clock.newest:  # noqa: PLR1730 - hot
                clock.newest = event_time
            after = clock.newest - out_of_orderness_ms
            arrival = (event, before, after, partition, offset, raw)
            items = grouped.get(subject)
            if items is None:
                grouped[subject] = [arrival]  # type: ignore[list-item]  # None was refused above
            else:
                items.append(arrival)  # type: ignore[arg-type]
        return grouped

    # -- one event --------------------------------------------------------------------------

    def _arrive(self, outlet: Outlet, subject: str, resident: Resident, arrival: Arrival) -> None:
        event, before, after, partition, offset, raw = arrival
        state = resident.state
        if partition != state.partition:
            if state.partition >= 0:
                self._counts["moved"] += 1
            state.partition = partition
            state.armed = NEVER
        if (
            resident.wake <= before
            # What came into being in this batch; both matter to a late event alone.
            or state.deadline <= before
            or (state.buffer and state.buffer[0].event_time <= before)
        ):
            self._advance(outlet, subject, resident, before)
            state = resident.state
        event_time = event.event_time
        now = event_time if event_time > state.time else state.time  # noqa: FURB136 - hot
        admitted = dedupe.admit(
            state.hashes, state.times, dedupe.hash_id(event.event_id), now, self._dedupe_window_ms
        )
        if admitted is None:
            self._counts["doubled"] += 1
            return
        state.hashes, state.times = admitted
        if event_time < before:
            self._counts["late"] += 1
            self._update(resident.aggregates_of(self._program), event)
            resident.aggregates_dirty = True
            state.newest = max(state.newest, event_time)
            outlet.late(subject, raw, partition, offset, event_time, before)
            return
        if self._reorder:
            _hold(state.buffer, event, partition, offset)
            self._release(outlet, subject, resident, after)
        else:
            self._apply(outlet, subject, resident, event, now)

    def _apply(
        self, outlet: Outlet, subject: str, resident: Resident, event: Event, now: int
    ) -> None:
        """Give one event to rules, aggregates and flows, after what is due before it."""
        state = resident.state
        if state.deadline <= now:
            self._due(outlet, subject, resident, now)
        self._counts["applied"] += 1
        state.time = now
        if event.event_time > state.newest:  # noqa: PLR1730 - hot
            state.newest = event.event_time
        kind = event.event_type
        types = self._plan_types
        if types is None or kind in types:
            aggregates = resident.aggregates
            if aggregates is None:
                aggregates = resident.aggregates_of(self._program)
            self._update(aggregates, event)
            resident.aggregates_dirty = True
        types = self._rule_types
        matches = None
        if types is None or kind in types:
            runs = resident.runs
            if runs is None:
                runs = resident.runs_of(self._program)
            matches = self._program.machine.advance(runs, subject, event, now)
            if runs.dirty:
                resident.runs_changed(self._program)
        flows = self._flows_by_type.get(kind)
        if flows is not None:
            self._decider.on_event(outlet, subject, resident, event, now, flows, self.killed.stops)
        if matches:
            self._decider.on_matches(outlet, subject, resident, matches, self.killed.stops)

    # -- time moves on ----------------------------------------------------------------------

    def _due(self, outlet: Outlet, subject: str, resident: Resident, clock: int) -> bool:
        """Fire the deadlines of a subject's runs up to a time."""
        state = resident.state
        if state.deadline > clock:
            return False
        program = self._program
        matches = program.machine.due(resident.runs_of(program), subject, clock)
        resident.runs_changed(program)
        for match in matches:
            state.time = max(state.time, match.at)
        if matches:
            self._decider.on_matches(outlet, subject, resident, matches, self.killed.stops)
        return bool(matches)

    def _release(self, outlet: Outlet, subject: str, resident: Resident, clock: int) -> bool:
        """Apply the held events that the clock has reached, oldest first."""
        buffer = resident.state.buffer
        ready = 0
        for held in buffer:
            if held.event_time > clock:
                break
            ready += 1
            event = from_msgpack(held.packed)
            now = max(event.event_time, resident.state.time)
            self._apply(outlet, subject, resident, event, now)
        del buffer[:ready]
        return ready > 0

    def _advance(self, outlet: Outlet, subject: str, resident: Resident, clock: int) -> bool:
        """Do all that a subject's clock has made due; True if anything was decided upon."""
        fired = self._release(outlet, subject, resident, clock)
        fired = self._due(outlet, subject, resident, clock) or fired
        state = resident.state
        # What is stored may be older than what this batch has done.
        state.expiry = self._expiry(state)
        if state.expiry <= clock and not state.buffer:
            resident.clear()
        resident.wake = resident.state.wake_at()
        return fired

    def _expiry(self, state: Subject) -> int:
        expiry = max(state.time, state.newest) + self._retention_ms
        return expiry if state.deadline == NEVER else max(expiry, state.deadline + 1)

    def _fire(self, outlet: Outlet, partition: int, clock: int) -> bool:
        """Wake everybody in a partition whose time has come; True if anything was decided upon."""
        fired = False
        self._fired[partition] = clock
        woken = self._wheel.due(partition, clock)
        self._woken += len(woken)
        for subject in woken:
            resident = self._residents.load(subject, self._program)
            state = resident.state
            if state.partition != partition or state.armed > clock:
                continue  # moved to another partition, gone, or filed twice
            state.armed = NEVER
            if resident.wake <= clock:
                fired = self._advance(outlet, subject, resident, clock) or fired
            self._keep(subject, resident)
        return fired

    def _keep(self, subject: str, resident: Resident) -> None:
        """Write a subject back and see to it that it is woken in time."""
        state = resident.state
        if not state.hashes and resident.empty:
            self._residents.drop(subject)
            return
        last = state.time if state.time > state.newest else state.newest  # noqa: FURB136 - hot
        state.expiry = wake = last + self._retention_ms
        if state.deadline != NEVER:
            if state.deadline >= wake:
                state.expiry = state.deadline + 1
            wake = state.deadline
        if state.buffer:
            wake = min(wake, state.buffer[0].event_time)
        resident.wake = wake
        if wake < state.armed:
            newest = self._header.clocks[state.partition].newest
            # An idle partition was fired further than its events say.
            clock = max(
                newest - self._settings.out_of_orderness_ms, self._fired.get(state.partition, 0)
            )
            state.armed = self._wheel.arm(state.partition, subject, wake, clock)
        self._residents.save(subject, resident, self._program)

    # -- the timer --------------------------------------------------------------------------

    def next_timer(self, now_ms: int) -> int | None:
        """Give the wall time, ms, at which `ring` should be called, or None.

        Asked after each call of `process` and `ring`. An earlier timer that is still
        pending is good enough: None.
        """
        wanted = self._wanted_timer(now_ms)
        if wanted is None or 0 < self._header.timer_at <= wanted:
            return None
        self._header.timer_at = wanted
        return wanted

    def _wanted_timer(self, now_ms: int) -> int | None:
        wanted = None
        if self._header.told != self._tally():
            wanted = max(now_ms + 1, self._told_ms + self._settings.counts_interval_ms)
        idle_ms = self._settings.idle_advance_ms
        if idle_ms is not None:
            for partition in self._wheel.partitions():
                wake = self._wheel.next_wake(partition)
                if wake is None:
                    continue
                firing = self._header.clocks[partition].newest - self._settings.out_of_orderness_ms
                heard = self._heard.get(partition, self._started_ms)
                at = max(heard + max(idle_ms, wake - firing), now_ms + 1)
                wanted = at if wanted is None else min(wanted, at)
        return wanted

    def ring(self, at_ms: int, now_ms: int) -> list[Record]:
        """Move the clocks of idle partitions, fire what that makes due, tell the counts.

        Args:
            at_ms: The time for which the timer was set.
            now_ms: Wall clock.
        """
        outlet = Outlet(self._settings.topics, self._program.revision)
        self._announce(outlet)
        woken = self._woken
        if at_ms >= self._header.timer_at:
            self._header.timer_at = 0
        idle_ms = self._settings.idle_advance_ms
        if idle_ms is not None:
            for partition in self._wheel.partitions():
                silent_ms = now_ms - self._heard.get(partition, self._started_ms)
                if silent_ms < idle_ms:
                    continue
                newest = self._header.clocks[partition].newest
                clock = newest - self._settings.out_of_orderness_ms + silent_ms
                if self._fire(outlet, partition, clock):
                    outlet.control("idle_advance", self.number, self._offsets(),
                                   partition=partition, clock=clock)  # fmt: skip
        self._tell(outlet, now_ms)
        if self._woken != woken:
            self.flush()  # an idle advance is not in the journal
        return outlet.records

    # -- what is told and kept --------------------------------------------------------------

    def _announce(self, outlet: Outlet) -> None:
        """Record the revision that applies from here on."""
        if self._header.revision != self._program.revision:
            self._header.revision = self._program.revision
            outlet.control(
                "revision", self.number, self._offsets(), revision=self._program.revision
            )
            self._store.put_program(self._program.payload)
            self.flush()

    def _tally(self) -> tuple[int, int]:
        return self._counts["in"], self._counts["decisions"]

    def _tell(self, outlet: Outlet, now_ms: int) -> None:
        due = now_ms - self._told_ms >= self._settings.counts_interval_ms
        if due and self._header.told != self._tally():
            self._header.told = self._tally()
            self._told_ms = now_ms
            self._counts["expression_errors"] += self._program.take_errors()
            outlet.control("counts", self.number, self._offsets(), counts=dict(self._counts))

    def _offsets(self) -> dict[str, int]:
        return {str(partition): clock.offset for partition, clock in self._header.clocks.items()}

    def _note(self, entry: Entry) -> None:
        """Keep a batch that was worked off: in the journal, or by writing what it changed."""
        self._journaled_events += len(entry.keys)
        if self._journaled_events < self._settings.journal_events:
            blob = encode_entry(entry)
            self._journaled_bytes += len(blob)
            if self._journaled_bytes < self._settings.journal_bytes:
                self._store.append(self._entries, blob)
                self._entries += 1
                return
        self.flush()

    def flush(self) -> None:
        """Write the state of everything that changed; the journal is empty then."""
        self._residents.flush(self._program)
        self._wheel.flush()
        self._store.put_header(msgspec.msgpack.encode(self._header))
        if self._entries:
            self._store.clear_journal()
        self._entries = self._journaled_events = self._journaled_bytes = 0


def _hold(buffer: list[Held], event: Event, partition: int, offset: int) -> None:
    """File an event behind all that are not newer."""
    at = len(buffer)
    event_time = event.event_time
    while at and buffer[at - 1].event_time > event_time:
        at -= 1
    buffer.insert(at, Held(event_time, partition, offset, to_msgpack(event)))


def _wrong_key(key: bytes | None, subject: str, field: str) -> InvalidEvent:
    if key is None:
        return InvalidEvent("null_key", "key", f"produce with the {field} as key")
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        return InvalidEvent("bad_key", "key", f"{error.reason} at byte {error.start}")
    return InvalidEvent(
        "foreign_key",
        "key",
        f"key {text[:100]!r}, {field} {subject[:100]!r}: produce with the {field}",
    )


def _decode_header(blob: bytes | None) -> Header:
    if blob is None:
        return Header()
    try:
        header = msgspec.msgpack.decode(blob, type=Header)
    except msgspec.DecodeError as error:
        raise StateIncompatible(f"a shard's header is damaged: {error}") from error
    if header.version != HEADER_VERSION:
        raise StateIncompatible(
            f"a shard's header has version {header.version}, this code reads {HEADER_VERSION}: "
            "restore the savepoint with the release that wrote it"
        )
    return header
