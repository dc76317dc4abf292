"""The work of one shard: a batch of records in, records for Kafka out.

What design says about order and time happens here and in `udfs.decisions.progress`: clocks per
partition, duplicates, lateness, reorder buffers, deadlines, and the one read and write of a
subject's state in a batch. Neither knows Flink or the wall clock: state comes through
`ShardStore`, time as an argument. Results do not depend on where batches are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udfs.decisions.completeness import Completeness, decode_ages, encode_ages
from udfs.decisions.decider import Decider
from udfs.decisions.header import decode_header, encode_header
from udfs.decisions.journal import Entry, Journal
from udfs.decisions.killed import NOTHING_KILLED
from udfs.decisions.program import Program
from udfs.decisions.progress import Progress
from udfs.decisions.records import Outlet, Record
from udfs.decisions.residents import Residents
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.silence import Silence
from udfs.decisions.store import ShardStore
from udfs.decisions.telling import Teller
from udfs.decisions.wheel import Wheel
from udfs.errors import StateIncompatible
from udfs.events import dedupe
from udfs.stitching import Settings as SessionSettings
from udfs.stitching import Stitcher


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
        self._header = decode_header(store.header())
        self._counts = self._header.counts
        self._wheel = Wheel(store.chunks)
        self._residents = Residents(store, settings.resident_subjects)
        self._silence = Silence(settings, self._header.clocks, self._wheel, started_ms)
        self._teller = Teller(number, self._header, settings, started_ms)
        self._ages = decode_ages(store.ages())
        self._stitcher = Stitcher(
            SessionSettings(settings.session_gap_ms, settings.session_max_length_ms)
        )
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
        if encode_ages(self._completeness.ages) != store.ages():
            self._header.revision = -1  # they are kept then
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
            program.report.follow(entry.kept_back)
            self._work(Outlet(self._settings.topics, program.revision), entry)
        program.report.follow(None)
        self._silence.forget()
        self.flush()
        self._residents.clear()

    # -- program ----------------------------------------------------------------------------

    def _use(self, program: Program) -> None:
        self._program = program
        self._completeness = Completeness(
            program, self._header.clocks, self._settings.out_of_orderness_ms, self._ages
        )
        self._ages = self._completeness.ages
        self._decider = Decider(program, self._counts, self._completeness, self._stitcher)
        self._progress = Progress(
            program, self._decider, self._header, self._residents, self._wheel, self._silence,
            self._settings, self._stitcher,
        )  # fmt: skip

    def switch(self, program: Program) -> None:
        """Take another program from the next batch on; state moves over as it is touched."""
        if program is not self._program:
            self.flush()
            self._residents.set_aside()
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
        report = self._program.report
        report.begin()
        self._work(outlet, batch)
        batch.kept_back = report.kept_back()
        self._teller.tell(outlet, self._program, now_ms)
        if not self._journal.keep(batch):
            self.flush()
        return outlet.records

    def _work(self, outlet: Outlet, batch: Entry) -> None:
        """Do all that a batch brings about; the journal does it again."""
        self._progress.receive(outlet, batch)
        for partition in set(batch.partitions):
            clock = self._header.clocks.get(partition)
            self._silence.hear(partition, batch.now_ms)
            if clock is not None:
                firing = clock.newest - self._settings.out_of_orderness_ms
                self._progress.fire(outlet, partition, firing)
        batch.outcomes = self._decider.settle(outlet, batch.outcomes)
        self._progress.prepare()

    # -- the timer --------------------------------------------------------------------------

    def next_timer(self, now_ms: int) -> int | None:
        """Give the wall time, ms, at which `ring` should be called, or None.

        Asked after each call of `process` and `ring`. An earlier timer that is still
        pending is good enough: None.
        """
        timers = (self._teller.wanted_timer(now_ms), self._silence.next_advance(now_ms))
        wanted = min((timer for timer in timers if timer is not None), default=None)
        if wanted is None or 0 < self._header.timer_at <= wanted:
            return None
        self._header.timer_at = wanted
        return wanted

    def ring(self, at_ms: int, now_ms: int) -> list[Record]:
        """Move the clocks of idle partitions, fire what that makes due, tell the counts.

        Args:
            at_ms: The time for which the timer was set.
            now_ms: Wall clock.
        """
        outlet = Outlet(self._settings.topics, self._program.revision)
        self._announce(outlet)
        progress = self._progress
        progress.killed = self.killed
        woken = progress.woken
        if at_ms >= self._header.timer_at:
            self._header.timer_at = 0
        for partition, clock in self._silence.advanced(now_ms):
            fired = progress.fire(outlet, partition, clock)
            self._decider.settle(outlet)
            if fired:
                outlet.control("idle_advance", self.number, self._header.offsets(),
                               partition=partition, clock=clock)  # fmt: skip
        self._teller.tell(outlet, self._program, now_ms)
        if progress.woken != woken:
            self.flush()  # an idle advance is not in the journal
        return outlet.records

    # -- what is told and kept --------------------------------------------------------------

    def _announce(self, outlet: Outlet) -> None:
        """Record the revision that applies from here on."""
        if self._header.revision != self._program.revision:
            self._header.revision = self._program.revision
            unread = self._program.unread
            outlet.control(
                "revision", self.number, self._header.offsets(), revision=self._program.revision,
                **({"unread_aggregates": list(unread)} if unread else {}),
            )  # fmt: skip
            self._store.put_program(self._program.payload)
            self._store.put_ages(encode_ages(self._completeness.ages))
            self.flush()
            self._journal.spread(self.number)

    def flush(self) -> None:
        """Write the state of everything that changed; the journal is empty then."""
        for resident in self._residents.changed:
            if not resident.changed:
                continue  # it was dropped
            state = resident.state
            dedupe.compact(state.hashes, state.times, state.time, self._settings.dedupe_window_ms)
            state.expiry = self._progress.expiry(state)
            if state.expiry < state.armed:
                self._progress.arm(resident.subject, state)  # the retention is shorter than it was
        self._residents.flush(self._program)
        self._wheel.flush()
        self._store.put_header(encode_header(self._header))
        self._journal.clear()
