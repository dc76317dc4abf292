"""Kafka as the tests use it: known offsets in, everything committed out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.e2e.traffic import Logged
from udfs.decisions.records import Record

_MAX_BYTES = 11 << 20
_PATIENCE_S = 60.0


def produce(
    bootstrap: str, topic: str, log: Sequence[Logged], *, per_second: float | None = None,
    halt: Callable[[], bool] = lambda: False,
) -> int:  # fmt: skip
    """Send records to their partitions, in order; acknowledged when this returns.

    Args:
        bootstrap: The broker.
        topic: Where to.
        log: What; its offsets must be those that the broker gives.
        per_second: Pace, or None for as fast as it goes.
        halt: Asked now and then; True stops early.

    Returns:
        How many were sent.
    """
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
        "message.max.bytes": _MAX_BYTES, "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    wrong: list[str] = []

    def delivered(expected: int) -> Callable[[Any, Any], None]:
        def check(error: Any, message: Any) -> None:
            if error is not None or message.offset() != expected:
                wrong.append(f"{error or message.offset()}, expected offset {expected}")

        return check

    started_s = time.monotonic()
    sent = 0
    for logged in log:
        if sent % 200 == 0:
            producer.poll(0)
            if halt():
                break
            if per_second is not None:
                ahead_s = sent / per_second - (time.monotonic() - started_s)
                time.sleep(max(ahead_s, 0))
        producer.produce(
            topic, logged.value, logged.key, logged.partition, delivered(logged.offset)
        )
        sent += 1
    assert producer.flush(_PATIENCE_S) == 0
    assert not wrong, wrong[:3]
    return sent


def read(bootstrap: str, topics: Iterable[str], *, committed: bool = True) -> list[Record]:
    """Give all records of some topics, from the beginning to what is now the end.

    Args:
        bootstrap: The broker.
        topics: Their names.
        committed: Whether to leave out what no transaction has committed.
    """
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "e2e", "enable.auto.commit": False,
        "enable.partition.eof": True, "auto.offset.reset": "earliest",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    })  # fmt: skip
    try:
        left = _partitions(consumer, topics)
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in left])
        records = []
        deadline_s = time.monotonic() + _PATIENCE_S
        while left:
            assert time.monotonic() < deadline_s, f"no end of {left}"
            for message in consumer.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    headers = dict(message.headers() or ())
                    records.append(Record(message.topic(), message.key(), message.value(), headers))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                else:
                    raise AssertionError(error)
        return records
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topics: Iterable[str]) -> set[tuple[str, int]]:
    found = set()
    for topic in topics:
        known = consumer.list_topics(topic, 10).topics[topic].partitions
        assert known, f"no topic {topic}"
        found |= {(topic, partition) for partition in known}
    return found


def uncommitted(bootstrap: str, topic: str, partitions: int) -> int:
    """Give how many records of a topic lie behind its last stable offset."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def ends(level: IsolationLevel) -> int:
        asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(partitions)}
        futures = admin.list_offsets(asked, isolation_level=level)
        return sum(future.result().offset for future in futures.values())

    return ends(IsolationLevel.READ_UNCOMMITTED) - ends(IsolationLevel.READ_COMMITTED)
