"""From the producer to a decision that a consumer sees, while the job is half busy.

The producer paces itself in bursts of a few milliseconds and notes when it handed over each
event that may complete the rule. A process of its own reads the decisions, so that neither
holds the other's interpreter lock.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.contestants import new_topic, start_decide
from benchmarks.log import create_topic, producer
from benchmarks.servers import fresh_taskmanager, load
from benchmarks.workload import PARTITIONS, Traffic
from stack import Stack, jobs
from udfs.errors import StackError

_EVENTS: Final = "events-live"
_DECISIONS: Final = "decisions-live"
BURST_S: Final = 0.005
LINGER_MS: Final = 1
_DRAIN_S: Final = 5.0
_COMPLETING: Final = b'"event_type":"pay"'

_NS_PER_MS: Final = 1e6


class Latency(msgspec.Struct):
    """What was measured, in milliseconds.

    Args:
        rate: Events per second that were asked for.
        reached: Events per second that were produced.
        decisions: How many were timed.
        p50: Half of them were not slower.
        p90: 90 % were not slower.
        p99: 99 % were not slower.
        most: The slowest.
        lateness_p99: How late the producer's bursts were: the machine's own delay.
        load: Average of the last minute before.
    """

    rate: float
    reached: float
    decisions: int
    p50: float
    p90: float
    p99: float
    most: float
    lateness_p99: float
    load: float


def run(
    stack: Stack,
    rate: float,
    warm_up_s: float,
    measured_s: float,
    told: Callable[[float], None],
) -> Latency:
    """Produce at a steady rate and time the decisions.

    Args:
        stack: Where the job runs.
        rate: Events per second.
        warm_up_s: Produced, not timed.
        measured_s: Timed.
        told: Called with the seconds since the beginning.

    Raises:
        StackError: No decision came.
    """
    busy = load()[0]
    fresh_taskmanager(stack)
    create_topic(stack.kafka_bootstrap, _EVENTS)
    new_topic(stack, _DECISIONS)
    job = start_decide(stack, _EVENTS, _DECISIONS)
    jobs.await_running(stack, job)
    spawn = multiprocessing.get_context("spawn")
    seen: multiprocessing.Queue[dict[str, int]] = spawn.Queue()
    stop = spawn.Event()
    reader = spawn.Process(target=_read, args=(stack.kafka_bootstrap, seen, stop))
    reader.start()
    try:
        sent, late_ms, reached = _produce(
            producer(stack.kafka_bootstrap, LINGER_MS), rate, warm_up_s, measured_s, told
        )
        time.sleep(_DRAIN_S)
    finally:
        stop.set()
        arrived = seen.get()
        reader.join()
    jobs.cancel(stack, job)
    timed = sent.keys() & arrived.keys()
    delays = sorted((arrived[name] - sent[name]) / _NS_PER_MS for name in timed)
    if not delays:
        raise StackError(f"no decision at {rate:.0f} events/s; see the TaskManager's log")
    return Latency(
        rate=rate,
        reached=reached,
        decisions=len(delays),
        p50=quantile(delays, 0.5),
        p90=quantile(delays, 0.9),
        p99=quantile(delays, 0.99),
        most=delays[-1],
        lateness_p99=quantile(sorted(late_ms), 0.99),
        load=busy,
    )


def quantile(ordered: list[float], part: float) -> float:
    """Give the smallest value that so large a part of the values does not exceed."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _produce(
    sink: Producer,
    rate: float,
    warm_up_s: float,
    measured_s: float,
    told: Callable[[float], None],
) -> tuple[Mapping[str, int], list[float], float]:
    """Give when each event was handed over, how late the bursts were, and the rate reached."""
    traffic = Traffic()
    sent: dict[str, int] = {}
    late_ms: list[float] = []
    produced = 0
    told_s = 0.0
    started = time.perf_counter()
    while True:
        elapsed_s = time.perf_counter() - started
        if elapsed_s >= warm_up_s + measured_s:
            break
        timed = elapsed_s >= warm_up_s
        now_ms = time.time_ns() // 1_000_000
        for _ in range(int(elapsed_s * rate) - produced):
            record = traffic.event(now_ms)
            if timed and _COMPLETING in record.value:
                sent[_event_id(record.value)] = time.time_ns()
            sink.produce(_EVENTS, record.value, record.key, record.partition)
            produced += 1
        sink.poll(0)
        if elapsed_s - told_s > 1:
            told_s = elapsed_s
            told(elapsed_s)
        rest_s = started + elapsed_s + BURST_S - time.perf_counter()
        if timed:
            late_ms.append(max(0.0, -rest_s * 1000))
        if rest_s > 0:
            time.sleep(rest_s)
    spent_s = time.perf_counter() - started
    sink.flush()
    return sent, late_ms, produced / spent_s


def _event_id(value: bytes) -> str:
    start = len(b'{"event_id":"')
    return value[start : value.index(b'"', start)].decode()


def _read(
    bootstrap: str,
    seen: multiprocessing.Queue[dict[str, int]],
    stop: multiprocessing.synchronize.Event,
) -> None:
    """Note when each decision was seen, by the event that completed it; a process of its own."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-latency",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.assign([TopicPartition(_DECISIONS, number, 0) for number in range(PARTITIONS)])
    found: list[tuple[int, bytes]] = []
    while not stop.is_set():
        message = consumer.poll(0.1)
        value = None if message is None or message.error() else message.value()
        if value is not None:
            found.append((time.time_ns(), value))
    consumer.close()
    arrived: dict[str, int] = {}
    for at, value in found:
        name = msgspec.json.decode(value)["trigger"]["event_ids"][-1]
        arrived.setdefault(name, at)
    seen.put(arrived)
