"""Events at a steady rate, made by a process of its own; and what the job says of pushes."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Final, Self

from confluent_kafka import Consumer, TopicPartition

from benchmarks.latency import BURST_S, LINGER_MS, quantile
from benchmarks.log import producer
from benchmarks.rule_log import Traffic
from configs.acks import AckRecord
from udfs.errors import StackError

_STOP_S: Final = 30.0
_END_S: Final = 120.0
_POLL_S: Final = 0.25


class Producer:
    """A process that produces events until it is stopped; a context manager.

    Args:
        bootstrap: Address of the broker.
        topic: Where events go.
        rate: Events per second.
        users: How many there are.
    """

    def __init__(self, bootstrap: str, topic: str, rate: float, users: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._stop = spawn.Event()
        self._told, self._theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(
            target=_produce,
            args=(bootstrap, topic, rate, users, self._stop, self._theirs),
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # or the end of the process would not be seen
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()

    def stop(self) -> tuple[float, float]:
        """End it and give the rate it has reached, and how late its bursts were, p99 in ms.

        Raises:
            StackError: It has failed.
        """
        self._stop.set()
        try:
            if not self._told.poll(_STOP_S):
                raise StackError(f"the producer does not stop within {_STOP_S:.0f} s")
            reached, late_ms = self._told.recv()
        except EOFError as error:
            raise StackError("the producer has failed; see its output above") from error
        return float(reached), float(late_ms)


class Acks:
    """What a job says on the topic of acknowledgements.

    Args:
        bootstrap: Address of the broker.
        topic: Of one partition.
        job: Whose records count.
    """

    def __init__(self, bootstrap: str, topic: str, job: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"bench-{topic}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        self._job = job
        self._seen: list[AckRecord] = []

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def of(self, revision: int) -> list[AckRecord]:
        """Give what was said of a revision, as far as it was read."""
        return [ack for ack in self._seen if ack.revision == revision]

    def await_end(self, revision: int) -> bool:
        """Read on until the watcher has said how a revision ended, or for two minutes."""
        deadline_s = time.monotonic() + _END_S
        while time.monotonic() < deadline_s:
            if any(ack.who == "watcher" for ack in self.of(revision)):
                return True
            for message in self._consumer.consume(100, _POLL_S):
                value = message.value()
                if value is not None and not message.error():
                    ack = AckRecord.decode(value)
                    if ack.job == self._job:
                        self._seen.append(ack)
        return False


def _produce(
    bootstrap: str, topic: str, rate: float, users: int, stop: Event, told: Connection
) -> None:
    """Produce in bursts of some milliseconds; see `Producer`."""
    sink, traffic = producer(bootstrap, LINGER_MS), Traffic(users)
    late_ms: list[float] = []
    produced = 0
    started = time.perf_counter()
    while not stop.is_set():
        elapsed_s = time.perf_counter() - started
        for _ in range(int(elapsed_s * rate) - produced):
            record = traffic.event(time.time_ns() // 1_000_000)
            sink.produce(topic, record.value, record.key, record.partition)
            produced += 1
        sink.poll(0)
        rest_s = started + elapsed_s + BURST_S - time.perf_counter()
        late_ms.append(max(0.0, -rest_s * 1000))
        if rest_s > 0:
            time.sleep(rest_s)
    spent_s = time.perf_counter() - started
    sink.flush()
    told.send((produced / spent_s, quantile(sorted(late_ms), 0.99)))
