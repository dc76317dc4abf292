"""The two threads of the demo: one sends the traffic, one reads what the job writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from stack.demo.tally import Tally
from stack.demo.traffic import Message

_STEP_S = 0.02  # how far ahead of its time a record may be sent
_POLL_MS = 100
_FETCH_WAIT_MS = 10  # else every latency would hold half of Kafka's default of 500 ms


class Sender(threading.Thread):
    """Sends records when they are due.

    Args:
        bootstrap: Kafka's address.
        topic: Where to.
        messages: In order of `due_ms`; the clock is the wall clock.
        seconds: How long; None: until it is stopped.
    """

    def __init__(
        self, bootstrap: str, topic: str, messages: Iterator[Message], seconds: float | None
    ) -> None:
        super().__init__(name="sender", daemon=True)
        self.sent = 0
        self.sent_s: dict[str, float] = {}
        self.failure: BaseException | None = None
        self._topic = topic
        self._messages = messages
        self._seconds = seconds
        self._ending = threading.Event()
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)

    def run(self) -> None:
        """Send until told to stop, then wait until Kafka has all of it."""
        try:
            start_s = time.time()
            for message in self._messages:
                due_s = message.due_ms / 1_000
                if self._seconds is not None and due_s >= start_s + self._seconds:
                    break
                while (wait_s := due_s - time.time()) > _STEP_S and not self._ending.is_set():
                    self._ending.wait(wait_s)
                if self._ending.is_set():
                    break
                # A repeat has the id of its original: the original is what is decided on.
                self.sent_s.setdefault(message.event_id, time.monotonic())
                self._producer.send(self._topic, message.value, message.key)
                self.sent += 1
            self._producer.flush()
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._producer.close()

    def stop(self) -> None:
        """Stop soon; `join` waits for it."""
        self._ending.set()


class Reader(threading.Thread):
    """Feeds a tally from the job's topics, from their beginning.

    Args:
        bootstrap: Kafka's address.
        topics: Role by name of topic.
        tally: To be fed; read it only while holding `lock`.
    """

    def __init__(self, bootstrap: str, topics: Mapping[str, str], tally: Tally) -> None:
        super().__init__(name="reader", daemon=True)
        self.lock = threading.Lock()
        self.failure: BaseException | None = None
        self._topics = topics
        self._tally = tally
        self._ending = threading.Event()
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition)
                for topic in topics
                for partition in sorted(self._consumer.partitions_for_topic(topic) or ())
            ]
        )

    def run(self) -> None:
        """Read until told to stop."""
        try:
            while not self._ending.is_set():
                polled = self._consumer.poll(timeout_ms=_POLL_MS)
                now_s = time.monotonic()
                with self.lock:
                    for where, records in polled.items():
                        role = self._topics[where.topic]
                        for record in records:
                            self._tally.take(role, record.value, dict(record.headers), now_s)
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._consumer.close()

    def stop(self) -> None:
        """Stop soon; `join` waits for it."""
        self._ending.set()
