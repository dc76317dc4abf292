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

from udfs.decisions.decider import Decider
from udfs.decisions.header import Clock, decode_header, encode_header
from udfs.decisions.journal import Entry, Journal
from udfs.decisions.killed import NOTHING_KILLED
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet, Record
from udfs.decisions.residents import Resident, Residents
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.store import ShardStore
from udfs.decisions.subject import NEVER, Held, Subject
from udfs.decisions.wheel import Wheel
from udfs.errors import InvalidEvent, StateIncompatible
from udfs.events import dedupe
from udfs.events.codec import decode, from_msgpack, to_msgpack
from udfs.events.event import Event


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
        self._header = decode_header(store.header())
        self._counts = self._header.counts
        self._wheel = Wheel(store.chunks)
        self._residents = Residents(store, settings.resident_subjects)
        self._told_ms = started_ms
        self._journal = Journal(store, settings.journal_events, settings.journal_bytes)
        written_under = store.program()
        entries = self._journal.read()
        if entries:
            self._replay(entries, program, written_under, recompile)
        if written_under != program.payload:
            self._header.revision = -1  # announced with the next batch, and kept for its journal
        if self._header.timer_at <= started_ms:
            self._header.timer_at = 0  # it has rung since, or rings at once
        self._use(program)
        self._journal.spread(number)

    def _replay(
        self,
        entries: Sequence[Entry],
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
        for entry in entries:
            self.killed = entry.killed
            self._work(Outlet(self._settings.topics, program.revision), entry)
        self.killed = NOTHING_KILLED
        self._heard.clear()  # silence is counted from the start of this attempt
        self.flush()
        self._residents.clear()

    # -- program ----------------------------------------------------------------------------

    def _use(self, program: Program) -> None:
        self._program = program
        self._retention_ms = program.retention_ms(
            self._settings.dedupe_window_ms, self._settings.subject_ttl_ms
        )
        self._decider = Decider(program, self._counts)
        self._interests, self._others = program.interests()

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
        if not self._journal.keep(batch):
            self.flush()
        return outlet.records

    def _work(self, outlet: Outlet, batch: Entry) -> None:
        """Do all that a batch brings about; the journal does it again."""
        self._receive(outlet, batch)
        for partition in set(batch.partitions):
            clock = self._header.clocks.get(partition)
            self._heard[partition] = batch.now_ms
            if clock is not None:
                self._fire(outlet, partition, clock.newest - self._settings.out_of_orderness_ms)
        batch.outcomes = self._decider.settle(outlet, batch.outcomes)

    def _receive(self, outlet: Outlet, batch: Entry) -> None:  # noqa: C901, PLR0912, PLR0915 - one loop, because it is hot
        """Decode or refuse each record, move its partition's clock, and work it off. HOT."""
        settings = self._settings
        subject_field, max_event_bytes = settings.subject, settings.max_event_bytes
        out_of_orderness_ms, reorder = settings.out_of_orderness_ms, settings.reorder
        dedupe_window_ms, retention_ms = settings.dedupe_window_ms, self._retention_ms
        latest = batch.now_ms + settings.max_future_ms
        counts = self._counts
        clocks = self._header.clocks
        residents = self._residents
        resident_of, changed = residents.found.get, residents.changed
        hash_id, admit = dedupe.hash_id, dedupe.admit
        counts["in"] += len(batch.values)
        for key, raw, partition, offset in zip(
            batch.keys, batch.values, batch.partitions, batch.offsets, strict=True
        ):
            clock = clocks.get(partition)
            if clock is None:
                clock = clocks[partition] = Clock(-1, -1)
            if offset > clock.offset:
                clock.offset = offset
            else:
                counts["regressions"] += 1
            try:
                event = decode(raw, subject_field, max_event_bytes)
                subject = getattr(event, subject_field)
                if key is None or key != subject.encode():
                    raise _wrong_key(key, subject, subject_field)
                event_time = event.event_time
                if event_time > latest:
                    raise _in_the_future(event_time, batch.now_ms, settings.max_future_ms)
            except InvalidEvent as fault:
                counts["dead"] += 1
                outlet.dead(key, raw, partition, offset, fault)
                continue
            before = clock.newest - out_of_orderness_ms
            if event_time > clock.newest:  # noqa: PLR1730 - max() costs twice as much
                clock.newest = event_time
            resident = resident_of(subject)
            if resident is None:
                resident = residents.load(subject, self._program)
            if not resident.changed:
                resident.changed = True
                changed.append(resident)
            state = resident.state
            if partition != state.partition:
                self._move(state, partition)
            if state.deadline <= before or state.newest <= before - retention_ms or state.buffer:
                self._catch_up(outlet, subject, resident, before)
                state = resident.state
            now = state.time
            now = max(now, event_time)
            if not admit(state.hashes, state.times, hash_id(event.event_id), now, dedupe_window_ms):
                counts["doubled"] += 1
            elif event_time < before:
                self._late(resident, event)
                assert raw is not None  # a tombstone was refused
                outlet.late(subject, raw, partition, offset, event_time, before)
            elif reorder:
                _hold(state.buffer, event, partition, offset)
                self._release(outlet, subject, resident, clock.newest - out_of_orderness_ms)
                self._arm(subject, state)
            else:
                self._apply(outlet, subject, resident, event, now)
            armed = state.armed
            if state.deadline < armed or armed == NEVER:
                self._arm(subject, state)

    # -- one event --------------------------------------------------------------------------

    def _move(self, state: Subject, partition: int) -> None:
        """Note that a subject turned up in a partition in which it was not before."""
        if state.partition >= 0:
            self._counts["moved"] += 1
        state.partition = partition
        state.armed = NEVER

    def _catch_up(self, outlet: Outlet, subject: str, resident: Resident, clock: int) -> None:
        """Do what is due before an event, whoever's event has moved the clock."""
        if resident.state.wake_at(self._retention_ms) <= clock:
            self._advance(outlet, subject, resident, clock)

    def _late(self, resident: Resident, event: Event) -> None:
        """Give an event to the aggregates alone."""
        self._counts["late"] += 1
        self._program.plan.update(resident.aggregates_of(self._program), event)
        resident.aggregates_dirty = True
        state = resident.state
        state.newest = max(state.newest, event.event_time)

    def _apply(  # noqa: C901 - hot
        self, outlet: Outlet, subject: str, resident: Resident, event: Event, now: int
    ) -> None:
        """Give one event to rules, aggregates and flows, after what is due before it. HOT."""
        state = resident.state
        if state.deadline <= now:
            self._due(outlet, subject, resident, now)
        self._counts["applied"] += 1
        state.time = now
        if event.event_time > state.newest:  # noqa: PLR1730 - max() costs twice as much
            state.newest = event.event_time
        interest = self._interests.get(event.event_type, self._others)
        if interest is None:
            return
        program = self._program
        observed, ruled, flows = interest
        if observed:
            aggregates = resident.aggregates
            if aggregates is None:
                aggregates = resident.aggregates_of(program)
            program.plan.update(aggregates, event)
            resident.aggregates_dirty = True
        matches = None
        if ruled:
            runs = resident.runs
            if runs is None:
                runs = resident.runs_of(program)
            matches = program.machine.advance(runs, subject, event, now)
            if runs.changed:
                resident.runs_changed(program)
        if flows:
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
        if self._expiry(state) <= clock and not state.buffer:
            resident.clear()
        return fired

    def _expiry(self, state: Subject) -> int:
        """When nothing of a subject can matter any more, ms."""
        expiry = state.last + self._retention_ms
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
            if state.wake_at(self._retention_ms) <= clock:
                fired = self._advance(outlet, subject, resident, clock) or fired
            if resident.empty:
                self._residents.drop(subject)
            else:
                self._residents.touch(resident)
                self._arm(subject, resident.state)
        return fired

    def _arm(self, subject: str, state: Subject) -> None:
        """See to it that a subject is woken in time."""
        wake = state.wake_at(self._retention_ms)
        if wake < state.armed:
            newest = self._header.clocks[state.partition].newest
            # An idle partition was fired further than its events say.
            clock = max(
                newest - self._settings.out_of_orderness_ms, self._fired.get(state.partition, 0)
            )
            state.armed = self._wheel.arm(state.partition, subject, wake, clock)

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
        if self._header.told != self._header.tally():
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
                fired = self._fire(outlet, partition, clock)
                self._decider.settle(outlet)
                if fired:
                    outlet.control("idle_advance", self.number, self._header.offsets(),
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
                "revision", self.number, self._header.offsets(), revision=self._program.revision
            )
            self._store.put_program(self._program.payload)
            self.flush()
            self._journal.spread(self.number)

    def _tell(self, outlet: Outlet, now_ms: int) -> None:
        due = now_ms - self._told_ms >= self._settings.counts_interval_ms
        if due and self._header.told != self._header.tally():
            self._header.told = self._header.tally()
            self._told_ms = now_ms
            self._counts["expression_errors"] += self._program.take_errors()
            outlet.control("counts", self.number, self._header.offsets(), counts=dict(self._counts))

    def flush(self) -> None:
        """Write the state of everything that changed; the journal is empty then."""
        for resident in self._residents.changed:
            if not resident.changed:
                continue  # it was dropped
            state = resident.state
            dedupe.compact(state.hashes, state.times, state.time, self._settings.dedupe_window_ms)
            state.expiry = self._expiry(state)
            if state.expiry < state.armed:
                self._arm(resident.subject, state)  # the retention is shorter than it was
        self._residents.flush(self._program)
        self._wheel.flush()
        self._store.put_header(encode_header(self._header))
        self._journal.clear()


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


def _in_the_future(event_time: int, now_ms: int, max_future_ms: int) -> InvalidEvent:
    return InvalidEvent(
        "future",
        "$.event_time",
        f"{event_time} is {event_time - now_ms} ms ahead of the clock, allowed are {max_future_ms}",
    )
