"""What a decision costs: one process, no servers, everything that a worker has.

A table in RocksDB, aggregates in memory, a model in LiteRT. Timed is CPU time of the process.
"""

from __future__ import annotations

import contextlib
import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from benchmarks.cores import quartiles
from benchmarks.decision_parts import PARTS, TOPICS, Case, Parts
from benchmarks.decision_world import NOW_MS, world
from benchmarks.offer import BARE, COUNTED, SCORED, TABLE_USERS, user
from udfs.decisions.completeness import Completeness
from udfs.decisions.decider import Decider
from udfs.decisions.header import COUNTS, Clock
from udfs.decisions.killed import NOTHING_KILLED
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet, Record
from udfs.decisions.residents import Resident
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.subject import Subject
from udfs.events.codec import decode
from udfs.stitching import Stitcher

DECISIONS: Final = 16_000
"""In each round; of users drawn evenly from the whole table."""

SIZES: Final = (1, 4, 32)
"""Triggers of a batch; 4 are 5 % of what a shard gets in 50 ms (`benchmarks.cores`)."""

BAR_US: Final = 40.0
"""What a scored decision may cost."""

_WARM_VIEWS: Final = 3
_LATER_MS: Final = NOW_MS + 86_400_000
_SEED: Final = 11
_GC_THRESHOLDS: Final = (100_000, 20, 20)  # as the job sets them


class Cost(msgspec.Struct, frozen=True):
    """What one thing costs, µs a decision.

    Args:
        name: Of it.
        us: Median of the rounds.
        low: First quartile.
        high: Third quartile.
    """

    name: str
    us: float
    low: float
    high: float


class Costs(msgspec.Struct):
    """Everything, for batches of one size.

    Args:
        size: Triggers of a batch.
        wholes: The offer with table and model first, then with less.
        parts: Of the first of them.
        rest: What it costs beyond the sum of its parts.
        shard: The same offers as what they add to a shard's work.
        rounds: How many.
    """

    size: int
    wholes: list[Cost]
    parts: list[Cost]
    rest: float
    shard: list[Cost]
    rounds: int


def view(name: str, number: int, at_ms: int) -> bytes:
    """Make an event that triggers the offer, of the workload's form."""
    return (
        f'{{"event_id":"0-{number}","event_type":"item_view","user_id":"{name}",'
        f'"event_time":{at_ms},"source":"native","app_version":"6.12.0","os":"android",'
        f'"page_id":"item_detail","props":{{"sku":"sku-{number % 5_000}",'
        f'"price":{113 + number % 1_200 / 100:.2f},"quantity":1}}}}'
    ).encode()


class _Direct:
    """Decides without a shard: trigger after trigger, then the end of the batch."""

    def __init__(self, program: Program, cases: Sequence[Case]) -> None:
        self._flows = program.flows_by_type["item_view"]
        self._counts = dict.fromkeys(COUNTS, 0)
        completeness = Completeness(program, {0: Clock(0, 0, 0)}, 0, None)
        self._decider = Decider(program, self._counts, completeness, Stitcher())
        self._cases = cases

    def decide(self, batch: Sequence[Case]) -> list[Record]:
        """Decide one batch."""
        outlet, decider, flows = Outlet(TOPICS, 1), self._decider, self._flows
        killed = NOTHING_KILLED.stops
        for subject, resident, event in batch:
            decider.on_event(outlet, subject, resident, event, event.event_time, flows, killed)
        decider.settle(outlet)
        return outlet.records

    def work(self, size: int) -> Callable[[], None]:
        """Give what is to be timed."""
        batches = batched(self._cases, size)

        def run() -> None:
            for batch in batches:
                if len(self.decide(batch)) != len(batch):
                    raise ValueError("not every trigger gave a decision")
            counts = self._counts
            if counts["defaulted"] or counts["expression_errors"] or counts["failed_reads"]:
                raise ValueError(f"something was missing: {counts}")

        return run


class _Sharded:
    """Decides in a shard, records in, records out."""

    def __init__(self, program: Program, names: Sequence[str]) -> None:
        settings = ShardSettings(resident_subjects=TABLE_USERS, topics=TOPICS)
        self._shard = Shard(0, MemoryStore(), settings, program, NOW_MS)
        self._names = names
        self._number = 0
        for _ in range(_WARM_VIEWS):
            self.work(DECISIONS)()

    def work(self, size: int) -> Callable[[], None]:
        """Give what is to be timed, with new events."""
        first, self._number = self._number, self._number + len(self._names)
        values = [view(name, first + i, NOW_MS + first + i) for i, name in enumerate(self._names)]
        keys = [name.encode() for name in self._names]
        offsets = range(first, self._number)
        batches = [
            (keys[at : at + size], values[at : at + size], [0] * size, offsets[at : at + size])
            for at in range(0, len(keys), size)
        ]
        shard = self._shard

        def run() -> None:
            for batch in batches:
                shard.process(*batch, _LATER_MS)

        return run


def make_cases(program: Program, names: Sequence[str]) -> list[Case]:
    """Make one trigger for each of some users, who have viewed some items before."""
    residents: dict[str, Resident] = {}
    found = []
    for number in range(_WARM_VIEWS * len(names)):
        name = names[number % len(names)]
        resident = residents.get(name)
        if resident is None:
            resident = residents[name] = Resident(name, Subject(), stored=False)
        event = decode(view(name, number, NOW_MS + number), "user_id", 1 << 20)
        program.plan.update(resident.aggregates_of(program), event)
        resident.state.newest = event.event_time
        if number >= len(names) * (_WARM_VIEWS - 1):
            found.append(Case(name, resident, event))
    return found


def batched(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    """Cut into batches."""
    return [cases[at : at + size] for at in range(0, len(cases), size)]


def measure(
    rounds: int, progress: Callable[[str], None] = lambda _line: None, decisions: int = DECISIONS
) -> list[Costs]:
    """Time everything, all things in turn in every round.

    Args:
        rounds: How many.
        progress: Told what is done.
        decisions: Of a round.

    Returns:
        One for each of `SIZES`.
    """
    with world(progress) as made:
        draw = random.Random(_SEED)
        names = [user(draw.randrange(TABLE_USERS)) for _ in range(decisions)]
        programs = {
            "scored": made.program([SCORED]),
            "aggregates only": made.program([COUNTED]),
            "no features": made.program([BARE]),
        }
        cases = make_cases(programs["scored"], names)
        directs = {name: _Direct(program, cases) for name, program in programs.items()}
        progress("shards")
        shards = {name: _Sharded(program, names) for name, program in programs.items()}
        without = _Sharded(made.program([]), names)
        found = {
            size: _Times(
                Parts(programs["scored"], made.table, made.model), cases, directs, shards,
                without, size,
            )
            for size in SIZES
        }  # fmt: skip
        with _collected():
            for number in range(rounds):
                for size, times in found.items():
                    progress(f"batches of {size}, {number + 1}/{rounds}")
                    times.add(decisions)
    return [times.costs() for times in found.values()]


class _Times:
    """The rounds of one size."""

    def __init__(
        self,
        parts: Parts,
        cases: Sequence[Case],
        directs: dict[str, _Direct],
        shards: dict[str, _Sharded],
        without: _Sharded,
        size: int,
    ) -> None:
        self._parts = parts
        self._batches = batched(cases, size)
        first = self._batches[0]
        if parts.decide(first, [0] * len(PARTS)) != directs["scored"].decide(first):
            raise ValueError("the parts do not decide like the whole")
        self._directs = directs
        self._shards = shards
        self._without = without
        self._size = size
        self._wholes: dict[str, list[float]] = {name: [] for name in directs}
        self._spent: dict[str, list[float]] = {name: [] for name in PARTS}
        self._added: dict[str, list[float]] = {name: [] for name in shards}
        self._plain: list[float] = []

    def add(self, decisions: int) -> None:
        """Run a round."""
        size = self._size
        for name, direct in self._directs.items():
            self._wholes[name].append(_us(direct.work(size), decisions))
        for name, spent_us in zip(PARTS, self._parts.run(self._batches), strict=True):
            self._spent[name].append(spent_us / decisions)
        plain = _us(self._without.work(size), decisions)
        self._plain.append(plain)
        for name, shard in self._shards.items():
            self._added[name].append(_us(shard.work(size), decisions) - plain)

    def costs(self) -> Costs:
        """Give the medians."""
        wholes = [Cost(name, *quartiles(times)) for name, times in self._wholes.items()]
        parts = [Cost(name, *quartiles(times)) for name, times in self._spent.items()]
        added = [Cost(name, *quartiles(times)) for name, times in self._added.items()]
        return Costs(
            self._size, wholes, parts, wholes[0].us - sum(part.us for part in parts),
            [*added, Cost("an event without decision", *quartiles(self._plain))],
            len(self._plain),
        )  # fmt: skip


def _us(work: Callable[[], None], decisions: int) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e6 / decisions


@contextlib.contextmanager
def _collected() -> Iterator[None]:
    """Collect garbage as the job does: not looking through all state again and again."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
