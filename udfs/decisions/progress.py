"""How the subjects of one shard get on under one program: their events, and their time.

Each event carries the firing clock of its partition as it was before and after its arrival;
whatever that clock had made due happens first, even when another subject's event had moved it
inside the same batch.
"""

from __future__ import annotations

from udfs.decisions.decider import Decider
from udfs.decisions.header import Clock, Header
from udfs.decisions.journal import Entry
from udfs.decisions.killed import NOTHING_KILLED
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet
from udfs.decisions.refused import in_the_future, wrong_key
from udfs.decisions.residents import Resident, Residents
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.silence import Silence
from udfs.decisions.subject import NEVER, Subject, hold
from udfs.decisions.wheel import Wheel
from udfs.errors import InvalidEvent
from udfs.events import dedupe
from udfs.events.codec import decode, from_msgpack
from udfs.events.event import Event
from udfs.stitching import Stitcher


class Progress:
    """Moves the subjects of a shard on.

    Args:
        program: What runs.
        decider: Decides for it.
        header: Clocks and counts of the shard.
        residents: Its subjects.
        wheel: Who of them waits.
        silence: How far idle partitions were moved.
        settings: Of the core.
        stitcher: Makes sessions, if anybody wants them.

    Attributes:
        killed: What the kill switches stop.
        woken: How many subjects the clocks have woken so far.
    """

    def __init__(
        self, program: Program, decider: Decider, header: Header, residents: Residents,
        wheel: Wheel, silence: Silence, settings: ShardSettings, stitcher: Stitcher,
    ) -> None:  # fmt: skip
        self.killed = NOTHING_KILLED
        self.woken = 0
        self._program = program
        self._decider = decider
        self._header = header
        self._counts = header.counts
        self._residents = residents
        self._wheel = wheel
        self._silence = silence
        self._settings = settings
        self._retention_ms = program.retention_ms(
            settings.dedupe_window_ms, settings.subject_ttl_ms
        )
        self._interests, self._others = program.interests()
        self._stitcher = stitcher if settings.sessions or program.reads_session else None
        self._has_hot = program.plan.has_hot
        self._hot: dict[str, Resident] = {}
        """Subjects whose hot aggregates are to be worked out with the batch."""

    def receive(self, outlet: Outlet, batch: Entry) -> None:  # noqa: C901, PLR0912, PLR0915 - one loop, because it is hot
        """Decode or refuse each record, move its partition's clock, and work it off. HOT."""
        self.killed = batch.killed
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
                    raise wrong_key(key, subject, subject_field)
                event_time = event.event_time
                if event_time > latest:
                    raise in_the_future(event_time, batch.now_ms, settings.max_future_ms)
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
                self._move(state, partition, event_time)
            if (
                state.deadline <= before
                or state.session_due <= before
                or state.newest <= before - retention_ms
                or state.buffer
            ):
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
                hold(state.buffer, event, partition, offset)
                self._release(outlet, subject, resident, clock.newest - out_of_orderness_ms)
                self.arm(subject, state)
            else:
                self._apply(outlet, subject, resident, event, now)
            armed = state.armed
            if state.deadline < armed or state.session_due < armed or armed == NEVER:
                self.arm(subject, state)

    # -- one event --------------------------------------------------------------------------

    def _move(self, state: Subject, partition: int, event_time: int) -> None:
        """Note that a subject turned up in a partition in which it was not before."""
        if state.partition >= 0:
            self._counts["moved"] += 1
        clock = self._header.clocks[partition]
        if clock.first < 0:
            clock.first = event_time
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
        stitcher = self._stitcher
        if stitcher is not None and stitcher.update(resident.session_of(stitcher), event):
            resident.session_changed(stitcher)
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
            if self._has_hot:
                self._hot[subject] = resident
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

    def prepare(self) -> None:
        """Work out the hot aggregates of those whom the batch has touched, after its decisions."""
        for resident in self._hot.values():
            if resident.aggregates is not None:
                self._program.plan.prepare(resident.aggregates)
        self._hot.clear()

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

    def _close(self, outlet: Outlet, subject: str, resident: Resident, clock: int) -> bool:
        """Close the sessions that have ended; True if any was sent.

        Without a stitcher nobody wants them any more.
        """
        state = resident.state
        if state.session_due > clock:
            return False
        stitcher = self._stitcher
        if stitcher is None:
            state.session, state.session_due = b"", NEVER
            resident.session, resident.session_dirty = None, False
            return False
        records = stitcher.close(resident.session_of(stitcher), subject, clock)
        resident.session_changed(stitcher)
        if not self._settings.sessions:
            return False
        for record in records:
            outlet.session(subject, record)
        return bool(records)

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
        fired = self._close(outlet, subject, resident, clock) or fired
        state = resident.state
        if self.expiry(state) <= clock and not state.buffer:
            resident.clear()
        return fired

    def expiry(self, state: Subject) -> int:
        """When nothing of a subject can matter any more, ms."""
        expiry = state.last + self._retention_ms
        for due in (state.deadline, state.session_due):
            if due != NEVER:
                expiry = max(expiry, due + 1)
        return expiry

    def fire(self, outlet: Outlet, partition: int, clock: int) -> bool:
        """Wake everybody in a partition whose time has come; True if anything was decided upon."""
        fired = False
        self._silence.fired[partition] = clock
        woken = self._wheel.due(partition, clock)
        self.woken += len(woken)
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
                self.arm(subject, resident.state)
        return fired

    def arm(self, subject: str, state: Subject) -> None:
        """See to it that a subject is woken in time."""
        wake = state.wake_at(self._retention_ms)
        if wake < state.armed:
            newest = self._header.clocks[state.partition].newest
            # An idle partition was fired further than its events say.
            fired = self._silence.fired.get(state.partition, 0)
            clock = max(newest - self._settings.out_of_orderness_ms, fired)
            state.armed = self._wheel.arm(state.partition, subject, wake, clock)
