"""The engine of aggregates alone, in memory: speed, state, reading."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.aggregate_workload import SERIES, Series, Traffic, specs
from benchmarks.matching import as_in_the_job
from udfs.aggregation import Plan
from udfs.events.event import Event

USERS: Final = 10_000
SIZES: Final = (1, 10, 100, 1_000)
PER_USER: Final = (10, 100, 1_000, 10_000, 100_000)
BAR: Final = 40_000.0
"""Events per second with 100 specs."""
BAR_SHARE: Final = 1 / 3
"""Of the pickled plain values."""
MOST_TOUCHED: Final = 4_096
"""Bytes of state that an event touches."""
AIM_HOT_US: Final = 5.0
AIM_ANY_US: Final = 50.0

_WARM_UP: Final = 60
"""Events of a user before it is measured, on average."""
_READ_EVERY: Final = 100

Told = Callable[[str], None]


class Speed(msgspec.Struct, frozen=True):
    """Events through stored state, two of a user at a time, one in a hundred read.

    Args:
        series: How specs become more.
        specs: How many.
        users: How many.
        rates: Events per second of CPU, a figure a round.
        blob_bytes: State of a user, mean.
        touched: Specs that an event concerns, mean.
    """

    series: str
    specs: int
    users: int
    rates: list[float]
    blob_bytes: float
    touched: float

    @property
    def rate(self) -> float:
        """Median."""
        return statistics.median(self.rates)


class Busy(msgspec.Struct, frozen=True):
    """One user with many events in the window.

    Args:
        events: In the longest window.
        update_us: One event into decoded state, mean.
        stored_us: Decode, one event, encode, mean.
        read_us: All values after an event, mean.
        touched_bytes: Decoded and written anew for one event, mean: what lies open of the logs
            that it is put into. All else is copied as it is.
        blob_bytes: State.
    """

    events: int
    update_us: float
    stored_us: float
    read_us: float
    touched_bytes: float
    blob_bytes: int


class Size(msgspec.Struct, frozen=True):
    """State of one user and reading from it.

    Args:
        specs: How many.
        events: Events of the user, all in the windows.
        values: What is retained: events times the specs that they concern.
        bytes_each: Ours, of one retained value.
        pickled_each: Pickle of the plain ``(time, value)`` tuples, of one retained value.
        again_p50_us: Reading one value again, nothing having happened.
        again_p99_us: Likewise.
        first_p50_us: Reading one value after an event of its stream.
        first_p99_us: Likewise.
    """

    specs: int
    events: int
    values: int
    bytes_each: float
    pickled_each: float
    again_p50_us: float
    again_p99_us: float
    first_p50_us: float
    first_p99_us: float


def measure_speed(
    counts: Sequence[int], users: int, rounds: int, each: int, told: Told
) -> list[Speed]:
    """Measure sets of specs, one after the other: the users of all would not fit into memory.

    Args:
        counts: Numbers of specs.
        users: How many.
        rounds: How often.
        each: Events of a round.
        told: Told what is done.
    """
    cases: list[tuple[Series, int]] = [(one, count) for one in SERIES for count in counts]
    found = []
    with as_in_the_job():
        for series, count in cases:
            plan, types = Plan.compile(specs(count, series)), series.types_of(count)
            traffic, blobs = Traffic(users, 36.0, types=types), dict[str, bytes]()
            told(f"{series.name}, {count:,} specs: filling")
            _run(plan, blobs, list(traffic.events(users * _WARM_UP)))
            rates = []
            for number in range(rounds):
                told(f"{series.name}, {count:,} specs: round {number + 1} of {rounds}")
                events = list(traffic.events(each))
                began = time.process_time_ns()
                _run(plan, blobs, events)
                rates.append(len(events) * 1e9 / (time.process_time_ns() - began))
            blob_bytes = statistics.fmean(map(len, blobs.values()))
            found.append(Speed(series.name, count, users, rates, blob_bytes, count / types))
    return found


def _run(plan: Plan, blobs: dict[str, bytes], events: Sequence[Event]) -> None:
    update, decode, encode, names = plan.update, plan.decode, plan.encode, plan.names
    left = _READ_EVERY
    for place in range(0, len(events), 2):
        event = events[place]
        state = decode(blobs.get(event.user_id, b""))
        update(state, event)
        update(state, events[place + 1])
        left -= 2
        if not left:
            left = _READ_EVERY
            plan.read(state, names, state.newest)
        blobs[event.user_id] = encode(state)


def measure_busy(events_of_user: Sequence[int], count: int, told: Told) -> list[Busy]:
    """Measure one user with more and more events in the day.

    Args:
        events_of_user: In the longest window, one day.
        count: Number of specs.
        told: Told what is done.
    """
    found = []
    for wanted in events_of_user:
        told(f"one user, {wanted:,} events a day")
        plan = Plan.compile(specs(count))
        traffic = Traffic(1, 86_400 / wanted)
        state = plan.decode(b"")
        update = plan.update
        for event in traffic.events(wanted * 5 // 4):
            update(state, event)
        updates, reads, stored, touched = [], [], [], []
        for event in traffic.events(200):
            began = time.perf_counter_ns()
            update(state, event)
            updated = time.perf_counter_ns()
            plan.read(state, plan.names, state.newest)
            read = time.perf_counter_ns()
            updates.append(updated - began)
            reads.append(read - updated)
        blob = plan.encode(state)
        for event in traffic.events(200):
            began = time.perf_counter_ns()
            state = plan.decode(blob)
            update(state, event)
            changed = tuple(state.entries.changed)
            blob = plan.encode(state)
            stored.append(time.perf_counter_ns() - began)
            logs = [state.entries.found[key].log for key in changed]
            touched.append(sum(len(log.times) + len(log.items) for log in logs if log))
        found.append(
            Busy(
                wanted,
                statistics.fmean(updates) / 1_000,
                statistics.fmean(stored) / 1_000,
                statistics.fmean(reads) / 1_000,
                statistics.fmean(touched),
                len(blob),
            )
        )
    return found


def measure_size(count: int, events: int, told: Told) -> Size:
    """Measure state and reading of one user.

    Args:
        count: Number of specs.
        events: Events of the user.
        told: Told what is done.
    """
    told("state of one user")
    made = specs(count)
    for spec in made:
        spec["window"] = {"sliding": "1d"} if spec["window"]["sliding"] == "5m" else spec["window"]
    plan = Plan.compile(made)
    traffic = Traffic(1, 3_600 / events * 0.9)
    state = plan.decode(b"")
    plain: dict[str, list[tuple[int, Any]]] = {}
    log = list(traffic.events(events))
    for event in log:
        plan.update(state, event)
        for spec in made:
            if spec["event"] == event.event_type:
                value = event.props["amount"] if "value" in spec else 1
                plain.setdefault(spec["aggregate"], []).append((event.event_time, value))
    values = sum(map(len, plain.values()))
    ours, pickled = len(plan.encode(state)), len(pickle.dumps(plain, protocol=5))
    again, first = [], []
    for event in traffic.events(400):
        plan.update(state, event)
        touched = [spec["aggregate"] for spec in made if spec["event"] == event.event_type]
        for name in touched[:3]:
            first.append(_timed(plan, state, name))
            again.append(_timed(plan, state, name))
    return Size(
        count, events, values, ours / values, pickled / values,
        *_middle(again), *_middle(first),
    )  # fmt: skip


def _timed(plan: Plan, state: Any, name: str) -> float:
    wanted = (name,)
    began = time.perf_counter_ns()
    plan.read(state, wanted, state.newest)
    return (time.perf_counter_ns() - began) / 1_000


def _middle(figures: Sequence[float]) -> tuple[float, float]:
    found = sorted(figures)
    return found[len(found) // 2], found[int(len(found) * 0.99)]
