"""The pre-filled log: written once, read by every job from its beginning."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.workload import PARTITIONS, SPACING_MS, Traffic

EVENTS_TOPIC: Final = "events"

_AGO_MS: Final = 60_000
"""The log ends in the past: no event is in the future, whatever the clocks do."""

_TOLD_EVERY: Final = 20_000


def create_topic(bootstrap: str, name: str, partitions: int = PARTITIONS) -> None:
    """Create a topic whose records bear the broker's time of arrival."""
    topic = NewTopic(
        name,
        partitions,
        1,
        config={"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"},
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([topic]).values():
        made.result()


def producer(bootstrap: str, linger_ms: int) -> Producer:
    """Give a producer that loses nothing and keeps the order."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": linger_ms,
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "none",
            "log_level": 3,  # errors; that a new broker is not ready for a second is none
        }
    )


def fill(bootstrap: str, events: int, told: Callable[[int], None]) -> list[int]:
    """Write the log.

    Args:
        bootstrap: Address of the broker.
        events: How many.
        told: Called with the number of events written so far.

    Returns:
        Events by partition.
    """
    create_topic(bootstrap, EVENTS_TOPIC)
    sink = producer(bootstrap, 20)
    first_ms = time.time_ns() // 1_000_000 - _AGO_MS - events * SPACING_MS
    counts = [0] * PARTITIONS
    for number, record in enumerate(Traffic().log(events, first_ms), 1):
        counts[record.partition] += 1
        while True:
            try:
                sink.produce(EVENTS_TOPIC, record.value, record.key, record.partition)
                break
            except BufferError:
                sink.poll(0.05)
        if number % _TOLD_EVERY == 0:
            sink.poll(0)
            told(number)
    sink.flush()
    told(events)
    return counts
