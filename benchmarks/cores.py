"""Where the time goes in the cores, without a JVM: stages added one at a time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from benchmarks.workload import USERS, Traffic, parts
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Topics
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.subject import Subject, decode_subject, encode_subject
from udfs.events import dedupe
from udfs.events.codec import decode
from udfs.events.event import Event
from udfs.sharding import shard_of

SHARDS: Final = 32
TAKEN: Final = 8
"""Shards that are run: a quarter of the users, so that their state is as old as in a long run."""

BATCH_EVENTS: Final = 78
"""Events of one shard in 50 ms, at 50,000 events/s over 32 shards."""

_WARM_EVENTS: Final = 120_000
_DEDUPE_MS: Final = 600_000
_NOW_MS: Final = 1_760_000_000_000
_SPACING_MS: Final = 4  # a quarter of the users, a quarter of the events


class Batch(msgspec.Struct, frozen=True):
    """What one call of the operator is given."""

    shard: int
    keys: list[bytes]
    values: list[bytes]
    partitions: list[int]
    offsets: list[int]


class Stage(msgspec.Struct, frozen=True):
    """One measured stage.

    Args:
        name: What was added.
        us: µs per event of everything up to here, median of the rounds.
        low: First quartile.
        high: Third quartile.
    """

    name: str
    us: float
    low: float
    high: float


def make_batches(events: int) -> list[Batch]:
    """Cut the workload into batches of one shard each."""
    traffic = Traffic(USERS)
    shards: dict[bytes, int] = {}
    open_batches = {shard: Batch(shard, [], [], [], []) for shard in range(TAKEN)}
    found: list[Batch] = []
    taken = 0
    while taken < events:
        record = traffic.event(_NOW_MS + taken * _SPACING_MS)
        shard = shards.get(record.key)
        if shard is None:
            shard = shards[record.key] = shard_of(record.key.decode(), SHARDS)
        if shard >= TAKEN:
            continue
        taken += 1
        batch = open_batches[shard]
        batch.keys.append(record.key)
        batch.values.append(record.value)
        batch.partitions.append(record.partition)
        batch.offsets.append(taken)
        if len(batch.values) == BATCH_EVENTS:
            found.append(batch)
            open_batches[shard] = Batch(shard, [], [], [], [])
    return found


class _Kept:
    """State of one subject in the staged runs."""

    __slots__ = (
        "advanced", "aggregates", "hashes", "observed", "runs", "state", "time", "times",
    )  # fmt: skip

    def __init__(self, program: Program) -> None:
        self.state = Subject(revision=1, partition=0)
        self.observed = self.advanced = False
        self.hashes = bytearray()
        self.times = bytearray()
        self.time = 0
        self.aggregates = program.plan.decode(b"")
        self.runs = program.machine.decode(b"")


class Staged:
    """The work of a shard, written down once more, stage by stage.

    Args:
        depth: How many stages are run: 1 decode, 2 clocks and grouping, 3 dedupe, 4 aggregates,
            5 rules, 6 encode and write, 7 read and decode.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._program = compile_program()
        self._subjects: dict[str, _Kept] = {}
        self._store: dict[str, bytes] = {}
        self._clocks: dict[int, int] = {}

    def run(self, batch: Batch) -> None:
        """Work off one batch."""
        depth = self._depth
        events = [decode(raw, "user_id", 1 << 20) for raw in batch.values]
        if depth == 1:
            return
        grouped: dict[str, list[Event]] = {}
        for event, key, partition in zip(events, batch.keys, batch.partitions, strict=True):
            subject = event.user_id
            if key != subject.encode():
                raise ValueError("the workload's keys are its users")
            if event.event_time > self._clocks.get(partition, -1):
                self._clocks[partition] = event.event_time
            grouped.setdefault(subject, []).append(event)
        if depth == 2:
            return
        for subject, items in grouped.items():
            self._subject(subject, items, depth)

    def _subject(self, subject: str, items: list[Event], depth: int) -> None:
        plan, machine = self._program.plan, self._program.machine
        kept = self._subjects.get(subject)
        if kept is None:
            kept = self._subjects[subject] = _Kept(self._program)
        elif depth >= 7:
            kept.state = decode_subject(self._store[subject])
            kept.aggregates = plan.decode(kept.state.aggregates)
            kept.runs = machine.decode(kept.state.runs)
        for event in items:
            self._event(subject, kept, event, depth)
        if depth >= 6:
            state = kept.state
            state.time = state.newest = kept.time
            dedupe.compact(kept.hashes, kept.times, kept.time, _DEDUPE_MS)
            state.hashes, state.times = kept.hashes, kept.times
            if kept.observed:
                state.aggregates = plan.encode(kept.aggregates)
            if kept.advanced:
                state.runs = machine.encode(kept.runs)
            kept.observed = kept.advanced = False
            self._store[subject] = encode_subject(state)

    def _event(self, subject: str, kept: _Kept, event: Event, depth: int) -> None:
        plan, machine = self._program.plan, self._program.machine
        now = kept.time = max(kept.time, event.event_time)
        if not dedupe.admit(
            kept.hashes, kept.times, dedupe.hash_id(event.event_id), now, _DEDUPE_MS
        ):
            raise ValueError("the workload doubles no event")
        kind = event.event_type
        if depth >= 4 and (plan.event_types is None or kind in plan.event_types):
            plan.update(kept.aggregates, event)
            kept.observed = True
        if depth >= 5 and (machine.event_types is None or kind in machine.event_types):
            machine.advance(kept.runs, subject, event, now)
            if kept.runs.dirty:
                machine.next_deadline(kept.runs)
                kept.advanced = True


class Whole:
    """The shards themselves.

    Args:
        residents: Subjects that stay decoded.
    """

    def __init__(self, residents: int) -> None:
        program = compile_program()
        settings = ShardSettings(resident_subjects=residents, topics=Topics())
        self.stores = [MemoryStore() for _ in range(TAKEN)]
        self._shards = [
            Shard(number, store, settings, program, _NOW_MS)
            for number, store in enumerate(self.stores)
        ]
        self.decisions = 0

    def run(self, batch: Batch) -> None:
        """Work off one batch."""
        records = self._shards[batch.shard].process(
            batch.keys, batch.values, batch.partitions, batch.offsets, _NOW_MS + 86_400_000
        )
        self.decisions += sum(record.topic == "decisions" for record in records)


def compile_program() -> Program:
    """Compile the workload's manifest."""
    return Program.compile(1, parts(), {"decisions"})


_STAGES: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("decode", lambda: Staged(1)),
    ("+ clocks, keys, grouping", lambda: Staged(2)),
    ("+ dedupe", lambda: Staged(3)),
    ("+ three aggregates", lambda: Staged(4)),
    ("+ one rule of three steps", lambda: Staged(5)),
    ("+ encode and put (a dictionary)", lambda: Staged(6)),
    ("+ get and decode, nothing resident", lambda: Staged(7)),
    ("the shard as it is, all resident", lambda: Whole(2_000)),
    ("the shard as it is, nothing resident", lambda: Whole(0)),
)


def measure(
    events: int, rounds: int, progress: Callable[[str], None] = lambda _line: None
) -> list[Stage]:
    """Time every stage.

    Args:
        events: Measured in each round, after a warm-up that fills the state.
        rounds: Of each stage.
        progress: Told what is done.
    """
    batches = make_batches(_WARM_EVENTS + events)
    cut = _WARM_EVENTS // BATCH_EVENTS
    warm, measured = batches[:cut], batches[cut:]
    found = []
    for name, make in _STAGES:
        times = []
        for number in range(rounds):
            progress(f"{name} {number + 1}/{rounds}")
            runner = make()
            _run(runner.run, warm)
            started = time.process_time()
            _run(runner.run, measured)
            spent_s = time.process_time() - started
            times.append(spent_s * 1e6 / (len(measured) * BATCH_EVENTS))
        found.append(Stage(name, *quartiles(times)))
    return found


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Give (median, first quartile, third quartile)."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def _run(work: Callable[[Batch], None], batches: Iterable[Batch]) -> None:
    for batch in batches:
        work(batch)
