"""``millrace read``: a look at a topic of the local stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from stack.commands import Directory, recorded
from stack.local import Stack
from stack.settings import DEFAULT_RUN_DIR
from udfs.errors import StackError

_WAIT_MS = 2_000


def read(
    topic: Annotated[str, typer.Argument(help="Which topic.")],
    run_dir: Directory = DEFAULT_RUN_DIR,
    *,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest records.")] = 10,
    headers: Annotated[bool, typer.Option("--headers", help="Headers, too.")] = False,
) -> None:
    """Print the newest records of a topic, one a line, oldest first."""
    stack = Stack(recorded(run_dir))
    if "kafka" not in stack.running():
        raise StackError("no Kafka runs: start it with 'millrace up'")
    consumer = KafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    try:
        for record in newest(consumer, topic, last):
            typer.echo(shown(record.value, record.headers if headers else ()))
    finally:
        consumer.close()


def newest(consumer: Any, topic: str, count: int) -> list[Any]:
    """Give the newest records of a topic by their time in Kafka.

    Args:
        consumer: Not subscribed to anything.
        topic: Which.
        count: How many.

    Raises:
        StackError: There is no such topic.
    """
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    if not partitions:
        known = ", ".join(sorted(consumer.topics())) or "none"
        raise StackError(f"there is no topic {topic!r}; known are {known}")
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    begins = consumer.beginning_offsets(partitions)
    for partition in partitions:
        # Markers of transactions take offsets, too: twice as many are enough to see `count`.
        consumer.seek(partition, max(begins[partition], ends[partition] - 2 * count))
    found: list[Any] = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        polled = consumer.poll(timeout_ms=_WAIT_MS)
        if not polled:
            break  # a transaction is open: its records are not there yet
        found.extend(record for records in polled.values() for record in records)
    found.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
    return found[-count:]


def shown(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> str:
    """Give a record in one line: its headers, if any, then its value."""
    text = "null" if value is None else value.decode(errors="backslashreplace")
    if not headers:
        return text
    told = {name: content.decode(errors="backslashreplace") for name, content in headers}
    return f"{json.dumps(told, ensure_ascii=False)} {text}"
