"""The pre-filled log: written once, read by every job from its beginning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.workload import PARTITIONS, SPACING_MS, Log, Traffic
from udfs.errors import StackError

EVENTS_TOPIC: Final = "events"

_AGO_MS: Final = 60_000
"""The log ends in the past: no event is in the future, whatever the clocks do."""

_TOLD_EVERY: Final = 20_000
_QUERY_S: Final = 10.0


def create_topic(bootstrap: str, name: str, partitions: int = PARTITIONS) -> None:
    """Create a topic whose records bear the broker's time of arrival."""
    topic = NewTopic(
        name,
        partitions,
        1,
        config={"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"},
    )
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
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


def read_back(bootstrap: str, topic: str, partitions: int) -> Iterator[tuple[int, bytes]]:
    """Give what a topic holds now: when the broker got it, ms, and the value.

    Args:
        bootstrap: Address of the broker.
        topic: Its name.
        partitions: How many it has.
    """
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"bench-read-{topic}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    try:
        for number in range(partitions):
            place = TopicPartition(topic, number, 0)
            _low, high = reader.get_watermark_offsets(place, timeout=_QUERY_S)
            reader.assign([place])
            at = 0
            while at < high:
                messages = reader.consume(2_000, _QUERY_S)
                if not messages:
                    raise StackError(f"{topic}/{number}: nothing comes after offset {at} of {high}")
                for message in messages:
                    if message.error():
                        raise StackError(f"{topic}/{number}: {message.error()}")
                    at = (message.offset() or 0) + 1
                    value = message.value()
                    if value is not None:
                        yield message.timestamp()[1], value
    finally:
        reader.close()


def fill(
    bootstrap: str,
    events: int,
    told: Callable[[int], None],
    make: Callable[[int, int], Iterator[Log]] | None = None,
) -> list[int]:
    """Write the log.

    Args:
        bootstrap: Address of the broker.
        events: How many.
        told: Called with the number of events written so far.
        make: Makes so many events from such a time on [those of `benchmarks.workload`].

    Returns:
        Events by partition.
    """
    create_topic(bootstrap, EVENTS_TOPIC)
    sink = producer(bootstrap, 20)
    first_ms = time.time_ns() // 1_000_000 - _AGO_MS - events * SPACING_MS
    counts = [0] * PARTITIONS
    for number, record in enumerate((make or Traffic().log)(events, first_ms), 1):
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
