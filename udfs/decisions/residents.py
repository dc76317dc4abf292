"""Subjects whose state is decoded: those of the batch, and some that were met lately.

The cache only saves reads. Every batch writes what it touched, so that an entry is never
ahead of the stored state, and dropping one loses nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from udfs.aggregation import State
from udfs.decisions.program import Program
from udfs.decisions.subject import NEVER, Subject, decode_subject, encode_subject
from udfs.events.event import Event
from udfs.matching import Runs


class Blobs(Protocol):
    """Stored subjects."""

    def get(self, subject: str) -> bytes | None:
        """Give a blob, or None."""

    def put(self, subject: str, blob: bytes) -> None:
        """Write a blob."""

    def remove(self, subject: str) -> None:
        """Forget a blob."""


class Resident:
    """A subject in memory: its stored form, and the sections that were decoded.

    Args:
        state: The stored form; its sections are stale while a decoded one is dirty.
        stored: Whether the store holds the subject.
    """

    __slots__ = ("_aggregates", "_aggregates_dirty", "_runs", "_runs_dirty", "state", "stored", "wake")

    def __init__(self, state: Subject, *, stored: bool) -> None:
        self.state = state
        self.stored = stored
        self.wake = state.wake_at()
        self._aggregates: State | None = None
        self._aggregates_dirty = False
        self._runs: Runs | None = None
        self._runs_dirty = False

    @property
    def has_runs(self) -> bool:
        """Whether any rule is under way."""
        return bool(self.state.runs if self._runs is None else self._runs)

    @property
    def empty(self) -> bool:
        """Whether forgetting it would change nothing."""
        state = self.state
        return not (
            state.hashes or state.buffer or state.limits or self.has_runs
            or (state.aggregates if self._aggregates is None else self._aggregates)
        )  # fmt: skip

    def aggregates_of(self, program: Program) -> State:
        """Give the decoded aggregates for reading."""
        found = self._aggregates
        if found is None:
            found = self._aggregates = program.plan.decode(self.state.aggregates)
        return found

    def observe(self, program: Program, event: Event) -> None:
        """Give an event to the aggregates."""
        program.plan.update(self.aggregates_of(program), event)
        self._aggregates_dirty = True

    def runs_of(self, program: Program) -> Runs:
        """Give the decoded runs for writing."""
        found = self._runs
        if found is None:
            found = self._runs = program.machine.decode(self.state.runs)
        self._runs_dirty = True
        return found

    def deadline_of(self, program: Program) -> int:
        """When the runs want to be woken, ms, `NEVER` if they do not."""
        deadline = program.machine.next_deadline(self.runs_of(program))
        return NEVER if deadline is None else deadline

    def clear(self) -> None:
        """Forget everything but the partition."""
        self.state = Subject(partition=self.state.partition)
        self._aggregates = self._runs = None
        self._aggregates_dirty = self._runs_dirty = False

    def pack(self, program: Program) -> bytes:
        """Give the blob; only sections that changed are encoded."""
        state = self.state
        if self._aggregates_dirty and self._aggregates is not None:
            state.aggregates = program.plan.encode(self._aggregates)
            self._aggregates_dirty = False
        if self._runs_dirty and self._runs is not None:
            state.runs = program.machine.encode(self._runs)
            self._runs_dirty = False
        return encode_subject(state)


class Residents:
    """Subjects of one shard by name, the least recently used dropped first.

    Args:
        store: Where they live.
        most: How many stay decoded between batches.
    """

    def __init__(self, store: Blobs, most: int) -> None:
        self._store = store
        self._most = most
        self._found: OrderedDict[str, Resident] = OrderedDict()

    def load(self, subject: str, program: Program) -> Resident:
        """Give a subject, a new one if it was never seen.

        State written under another program is taken over: runs by the structure of their
        rule, aggregates by that of their spec. The runs' deadline is asked for again then.
        """
        found = self._found.get(subject)
        if found is not None:
            self._found.move_to_end(subject)
            return found
        blob = self._store.get(subject)
        if blob is None:
            found = Resident(Subject(), stored=False)
        else:
            found = Resident(decode_subject(blob), stored=True)
            if found.state.revision != program.revision:
                found.state.revision = program.revision
                if found.has_runs:
                    found.state.deadline = found.deadline_of(program)
                    found.wake = found.state.wake_at()
        self._found[subject] = found
        return found

    def save(self, subject: str, resident: Resident, program: Program) -> None:
        """Write a subject back."""
        resident.state.revision = program.revision
        self._store.put(subject, resident.pack(program))
        resident.stored = True
        while len(self._found) > self._most:
            self._found.popitem(last=False)

    def drop(self, subject: str) -> None:
        """Forget a subject, in memory and in the store."""
        resident = self._found.pop(subject, None)
        if resident is not None and resident.stored:
            self._store.remove(subject)

    def clear(self) -> None:
        """Drop what is decoded; the store keeps all."""
        self._found.clear()
