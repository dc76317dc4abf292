"""What the runs of a user take in state, and what reading and writing them costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.matching import COMMON, Engine, as_in_the_job
from benchmarks.rule_workload import Rules, Traffic

USERS: Final = 10_000
EVENTS_A_USER: Final = 100
RULES: Final = 100
ZIPF: Final = 1.0
SAMPLE: Final = 20_000
"""Events behind the others, whose users are read, moved on and written."""

BAR_US: Final = 10.0
"""Reading and writing together, mean."""

_WARM_READS: Final = 500


class Spread(msgspec.Struct, frozen=True):
    """How a figure is spread over the events of the sample."""

    name: str
    mean: float
    p50: float
    p99: float


class State(msgspec.Struct, frozen=True):
    """What was measured.

    Args:
        users: How many there are.
        events: Before the sample.
        rules: How many.
        sample: Events of the sample.
        with_runs: Users that have any run.
        size_bytes: What is written after an event.
        read_us: `Machine.decode`.
        write_us: `Machine.encode`.
        both_us: The sum.
        advance_us: `Machine.advance` of what was just read.
        resident_us: The same of runs that were never put away.
    """

    users: int
    events: int
    rules: int
    sample: int
    with_runs: int
    size_bytes: Spread
    read_us: Spread
    write_us: Spread
    both_us: Spread
    advance_us: Spread
    resident_us: Spread


def measure(
    users: int = USERS,
    events_a_user: int = EVENTS_A_USER,
    rules: int = RULES,
    per_user_seconds: float = 1.0,
    sample: int = SAMPLE,
    progress: Callable[[str], None] = lambda _line: None,
) -> State:
    """Fill the users' states, then take a sample of events through their stored form.

    Args:
        users: How many there are, the busiest first (Zipf).
        events_a_user: On average.
        rules: How many.
        per_user_seconds: Event time between two events of a user, on average.
        sample: Events that are measured.
        progress: Told what is done.
    """
    traffic = Traffic(users, 1_000 * per_user_seconds / users, ZIPF)
    with as_in_the_job():
        engine = Engine(Rules(rules, COMMON), traffic)
        for made in traffic.chunks(users * events_a_user):
            progress(f"{traffic.made:,} events")
            engine.run(traffic.events(made))
        progress("writing")
        encode = engine.machine.encode
        blobs = {user: encode(runs) for user, runs in engine.users.items()}
        progress("sample")
        _take(engine, traffic, blobs, min(sample, _WARM_READS))
        rows = _take(engine, traffic, blobs, sample)
    sizes, reads, writes, advances, residents = zip(*rows, strict=True)
    both = [read + write for read, write in zip(reads, writes, strict=True)]
    return State(
        users, users * events_a_user, rules, sample, sum(map(bool, blobs.values())),
        _spread("bytes after an event", sizes, 1),
        _spread("decode", reads), _spread("encode", writes), _spread("decode and encode", both),
        _spread("advance, just decoded", advances),
        _spread("advance, never put away", residents),
    )  # fmt: skip


def _take(
    engine: Engine, traffic: Traffic, blobs: dict[str, bytes], count: int
) -> list[tuple[int, int, int, int, int]]:
    """Give bytes, then nanoseconds of decode, encode, advance, and advance without decode."""
    machine, clock = engine.machine, time.perf_counter_ns
    rows = []
    for event in traffic.events(traffic.make(count)):
        user, now = event.user_id, event.event_time
        blob = blobs[user]
        began = clock()
        runs = machine.decode(blob)
        read = clock()
        found = machine.advance(runs, user, event, now)
        advanced = clock()
        blobs[user] = blob = machine.encode(runs)
        written = clock()
        other = machine.advance(engine.users[user], user, event, now)
        done = clock()
        if len(found) != len(other):
            raise ValueError(f"event {event.event_id}: runs that were stored match otherwise")
        rows.append((len(blob), read - began, written - advanced, advanced - read, done - written))
    return rows


def _spread(name: str, values: Sequence[Any], scale: int = 1_000) -> Spread:
    found = sorted(values)
    return Spread(
        name, statistics.fmean(found) / scale,
        found[len(found) // 2] / scale, found[int(len(found) * 0.99)] / scale,
    )  # fmt: skip
