"""Workers' answers from the topic ``acks``, read without a consumer group.

All partitions are assigned; before a prepare is sent the reader goes to their ends, so that only
answers to that prepare or later ones are read, however long the topic is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import kafka
import kafka.errors
import msgspec

from configs.acks import AckRecord
from configs.rollout import Ack
from udfs.errors import ConfigUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

_BATCH: Final = 500
_TIMEOUT_MS: Final = 5_000  # for offsets and partitions; the loop comes again


class KafkaAcks:
    """An ``AckSource`` of one job.

    Args:
        brokers: ``host:port``, with commas.
        topic: Usually ``acks``.
        job: Only records of this job are answers to us.
        client_settings: Passed to the consumer, e.g. for TLS.
    """

    def __init__(self, brokers: str, topic: str, job: str, **client_settings: object) -> None:
        self._brokers = brokers.split(",")
        self._topic = topic
        self._job = job
        self._client_settings = client_settings
        self._consumer: kafka.KafkaConsumer | None = None

    def skip_to_end(self) -> None:
        """Read from here on only what comes from now on.

        Raises:
            ConfigUnavailable: The brokers do not answer, or the topic is not there.
        """
        try:
            consumer = self._consumer or self._connect()
            numbers = consumer.partitions_for_topic(self._topic)
            if not numbers:
                raise ConfigUnavailable(f"topic {self._topic} is not there; create it")
            partitions = [kafka.TopicPartition(self._topic, number) for number in sorted(numbers)]
            ends = consumer.end_offsets(partitions, timeout_ms=_TIMEOUT_MS)
            consumer.assign(partitions)
            for partition, offset in ends.items():
                consumer.seek(partition, offset)
        except kafka.errors.KafkaError as error:
            raise self._unavailable(error) from error

    def poll(self, timeout_s: float) -> list[Ack]:
        """Answers that came since, at most after ``timeout_s``; records of others are left out.

        Raises:
            ConfigUnavailable: The brokers do not answer.
        """
        if self._consumer is None:
            return []
        try:
            batches = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=_BATCH)
        except kafka.errors.KafkaError as error:
            raise self._unavailable(error) from error
        return answers((record.value for batch in batches.values() for record in batch), self._job)

    def close(self) -> None:
        """Close the connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _connect(self) -> kafka.KafkaConsumer:
        self._consumer = kafka.KafkaConsumer(
            bootstrap_servers=self._brokers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            bootstrap_timeout_ms=_TIMEOUT_MS,
            **self._client_settings,
        )
        return self._consumer

    def _unavailable(self, error: kafka.errors.KafkaError) -> ConfigUnavailable:
        brokers = ",".join(self._brokers)
        return ConfigUnavailable(f"topic {self._topic} at {brokers} cannot be read: {error}")


def answers(values: Iterable[bytes | None], job: str) -> list[Ack]:
    """Workers' answers of one job among the records of a topic that several write to."""
    found = []
    for value in values:
        try:
            record = AckRecord.decode(value or b"")
        except msgspec.DecodeError:
            continue  # not for us to judge: the topic is open to others
        if record.job == job and record.who == "worker" and (answer := _answer(record)):
            found.append(answer)
    return found


def _answer(record: AckRecord) -> Ack | None:
    if record.revision is None or record.prepare_id is None or record.subtask is None:
        return None
    if record.status not in {"READY", "NACK"}:
        return None
    return Ack(
        revision=record.revision,
        prepare_id=record.prepare_id,
        subtask=record.subtask,
        status="READY" if record.status == "READY" else "NACK",
        reasons=record.reasons,
    )
