"""Subjects whose state is decoded: those of the batch, and some that were met lately.

What a batch changes stays here until the shard flushes; until then its journal holds the records
that changed it. Only what is written may be dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from udfs.aggregation import State
from udfs.decisions.program import Program
from udfs.decisions.subject import NEVER, Subject, decode_subject, encode_subject
from udfs.matching import Runs
from udfs.stitching import Stitcher
from udfs.stitching.state import State as Session
from udfs.stitching.state import encode as encode_session


class Blobs(Protocol):
    """Stored subjects."""

    def get(self, subject: str) -> bytes | None:
        """Give a blob, or None."""

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write blobs; one crossing into the JVM for all of them."""

    def remove(self, subject: str) -> None:
        """Forget a blob."""


class Resident:
    """A subject in memory: its stored form, and the sections that were decoded.

    Attributes are read and written by `Shard` without calls in between: this is the hottest
    object of the job.

    Attributes:
        subject: Its name.
        changed: Whether it is among those that the next flush writes.
        state: The stored form; its sections are stale while a decoded one is dirty.
        stored: Whether the store holds the subject.
        aggregates: Decoded, or None while nothing asked for them.
        runs: Decoded, or None while nothing asked for them.
        has_runs: Whether any rule is under way.
        aggregates_dirty: The decoded ones changed.
        runs_dirty: Likewise.
        session: Decoded, or None while nothing asked for it.
        session_dirty: It changed.
        waits: Whether a decision about it is under way; it must not be forgotten then.
    """

    __slots__ = (
        "aggregates", "aggregates_dirty", "changed", "has_runs", "runs", "runs_dirty",
        "session", "session_dirty", "state", "stored", "subject", "waits",
    )  # fmt: skip

    def __init__(self, subject: str, state: Subject, *, stored: bool) -> None:
        self.subject = subject
        self.changed = False
        self.state = state
        self.stored = stored
        self.aggregates: State | None = None
        self.aggregates_dirty = False
        self.runs: Runs | None = None
        self.runs_dirty = False
        self.session: Session | None = None
        self.session_dirty = False
        self.has_runs = bool(state.runs)
        self.waits = False

    @property
    def empty(self) -> bool:
        """Whether forgetting it would change nothing."""
        state = self.state
        return not (
            state.hashes or state.buffer or state.limits or self.has_runs or self.waits
            or (state.aggregates if self.aggregates is None else self.aggregates)
            or (state.session if self.session is None else self.session.rows)
        )  # fmt: skip

    def aggregates_of(self, program: Program) -> State:
        """Give the decoded aggregates."""
        found = self.aggregates
        if found is None:
            found = self.aggregates = program.plan.decode(self.state.aggregates)
        return found

    def runs_of(self, program: Program) -> Runs:
        """Give the decoded runs."""
        found = self.runs
        if found is None:
            found = self.runs = program.machine.decode(self.state.runs, self.state.time)
        return found

    def session_of(self, stitcher: Stitcher) -> Session:
        """Give the decoded session."""
        found = self.session
        if found is None:
            found = self.session = stitcher.decode(self.state.session)
        return found

    def session_changed(self, stitcher: Stitcher) -> None:
        """Note what the stitcher has done to the session."""
        assert self.session is not None
        self.session_dirty = True
        due = stitcher.deadline(self.session)
        self.state.session_due = NEVER if due is None else due

    def runs_changed(self, program: Program) -> None:
        """Note what the machine has done to the runs."""
        self.runs_dirty = True
        runs = self.runs_of(program)
        runs.changed = False
        self.has_runs = bool(runs)
        deadline = program.machine.next_deadline(runs) if self.has_runs else None
        self.state.deadline = NEVER if deadline is None else deadline

    def clear(self) -> None:
        """Forget everything but the partition."""
        self.state = Subject(partition=self.state.partition)
        self.aggregates = self.runs = self.session = None
        self.aggregates_dirty = self.runs_dirty = self.session_dirty = self.has_runs = False

    def pack(self, program: Program) -> None:
        """Encode the sections that changed."""
        state = self.state
        if self.aggregates_dirty and self.aggregates is not None:
            state.aggregates = program.plan.encode(self.aggregates)
            self.aggregates_dirty = False
        if self.runs_dirty and self.runs is not None:
            state.runs = program.machine.encode(self.runs)
            self.runs_dirty = False
        if self.session_dirty and self.session is not None:
            state.session = encode_session(self.session)
            self.session_dirty = False


class Residents:
    """Subjects of one shard by name, the least recently used dropped first.

    Args:
        store: Where they live.
        most: How many stay decoded between batches.

    Attributes:
        found: Those that are decoded; to be read only.
        changed: Those that `flush` has to write. Whoever changes a subject that is not marked
            as changed marks it and appends it.
    """

    def __init__(self, store: Blobs, most: int) -> None:
        self._store = store
        self._most = most
        self.found: OrderedDict[str, Resident] = OrderedDict()
        self.changed: list[Resident] = []
        self._gone: set[str] = set()
        self._aside: OrderedDict[str, Resident] = OrderedDict()
        """Those of the program before that nobody has asked for since."""

    def load(self, subject: str, program: Program) -> Resident:
        """Give a subject, a new one if it was never seen.

        State written under another program is taken over: runs by the structure of their
        rule, aggregates by that of their spec. The runs' deadline is asked for again then.
        """
        found = self.found.get(subject)
        if found is not None:
            return found
        found = self._aside.pop(subject, None)
        if found is None:
            blob = None if subject in self._gone else self._store.get(subject)
            if blob is None:
                found = Resident(subject, Subject(), stored=False)
            else:
                found = Resident(subject, decode_subject(blob), stored=True)
        if found.stored and found.state.revision != program.revision:
            found.state.revision = program.revision
            if found.has_runs:
                found.runs_changed(program)
        self.found[subject] = found
        return found

    def touch(self, resident: Resident) -> None:
        """See to it that the next flush writes a subject."""
        if not resident.changed:
            resident.changed = True
            self.changed.append(resident)

    def drop(self, subject: str) -> None:
        """Forget a subject, in memory at once, in the store with the next flush."""
        resident = self.found.pop(subject, None)
        if resident is not None:
            resident.changed = False
            if resident.stored:
                self._gone.add(subject)

    def flush(self, program: Program) -> None:
        """Write what changed since the last flush, then drop the longest unused from memory.

        Args:
            program: Under which it changed.
        """
        for subject in self._gone:
            self._store.remove(subject)
        self._gone.clear()
        found = self.found
        blobs = {}
        for resident in self.changed:
            if resident.changed:  # else it was dropped
                resident.changed = False
                resident.pack(program)
                resident.stored = True
                resident.state.revision = program.revision
                blobs[resident.subject] = encode_subject(resident.state)
                found.move_to_end(resident.subject)
        self.changed.clear()
        if blobs:
            self._store.put_all(blobs)
        for kept in (self._aside, found):
            while kept and len(self._aside) + len(found) > self._most:
                kept.popitem(last=False)

    def clear(self) -> None:
        """Drop what is decoded, after a flush; the store keeps all."""
        self.found.clear()
        self._aside.clear()

    def set_aside(self) -> None:
        """Make ready for another program, after a flush: sections are decoded anew when needed."""
        for resident in self.found.values():
            resident.aggregates = resident.runs = None
        self._aside |= self.found
        self.found.clear()
