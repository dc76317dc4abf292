"""How far a job has come, seen from outside: by the decisions that it has written.

Every decision names the event that completed it, and an event id is its place in the log. The
broker stamps each decision with the time of its arrival. About 1 % of the events give a
decision, so that the curve has a point every few milliseconds. It holds for any job, needs
none of its metrics, and an event counts only when what came of it has left the job.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.workload import PARTITIONS
from udfs.errors import StackError

_PATIENCE_S: Final = 120.0
_SILENCE_S: Final = 2.0
_QUERY_S: Final = 10.0
_LEFT: Final = 2_500
"""Events of a partition's end that nobody waits for: a job in event time holds back the last
seconds of a log that has ended, and the last event need not complete anything."""

_COMPARED_LEFT: Final = 4_000

LEAST_EVENTS: Final = 50_000


class _Trigger(msgspec.Struct):
    event_ids: list[str]
    rule: str = ""


class _Decision(msgspec.Struct):
    trigger: _Trigger


_decode = msgspec.json.Decoder(_Decision).decode


class Point(NamedTuple):
    """At a time, ms since the epoch, so many events were worked off."""

    at_ms: int
    events: int


class Curve:
    """The progress of one job over one log.

    Args:
        counts: Events of the log by partition.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = counts
        self._reached = [0] * len(counts)
        self.total = sum(counts)
        self._points: list[tuple[int, int, int]] = []
        self.matches: set[tuple[str, ...]] = set()
        self.decisions = 0
        self._named: dict[tuple[str, ...], tuple[int, int]] = {}

    @property
    def events(self) -> int:
        """Events worked off so far."""
        return sum(self._reached)

    @property
    def reached(self) -> tuple[int, ...]:
        """Events worked off so far, by partition."""
        return tuple(self._reached)

    def named(self, upto: Sequence[int]) -> set[tuple[str, ...]]:
        """Give matches as the rule and the ids of its events.

        Args:
            upto: By partition: where the completing event must lie before.
        """
        return {name for name, (place, number) in self._named.items() if number < upto[place]}

    @property
    def ended(self) -> bool:
        """Whether all of the log is worked off but its very end."""
        return all(
            reached >= count - _LEFT
            for reached, count in zip(self._reached, self._counts, strict=True)
        )

    def add(self, at_ms: int, value: bytes) -> None:
        """Take one decision.

        Args:
            at_ms: When the broker got it.
            value: The decision.
        """
        trigger = _decode(value).trigger
        ids = trigger.event_ids
        partition, sequence = (int(part) for part in ids[-1].split("-"))
        self.decisions += 1
        if sequence < self._counts[partition] - _COMPARED_LEFT:
            self.matches.add(tuple(ids))
        self._named[(trigger.rule, *ids)] = partition, sequence
        self._points.append((at_ms, partition, sequence + 1))
        self._reached[partition] = max(self._reached[partition], sequence + 1)

    def points(self) -> list[Point]:
        """Give the progress by the broker's time."""
        reached = [0] * len(self._counts)
        found = []
        for at_ms, partition, events in sorted(self._points):
            reached[partition] = max(reached[partition], events)
            found.append(Point(at_ms, sum(reached)))
        return found

    def rate(self, start: float, end: float) -> float:
        """Give events per second between two parts of the log.

        Args:
            start: Where it begins, e.g. 0.1 of the log.
            end: Where it ends.
        """
        points = self.points()
        first = next(point for point in points if point.events >= start * self.total)
        last = next(point for point in points if point.events >= end * self.total)
        return (last.events - first.events) * 1000 / max(1, last.at_ms - first.at_ms)


def follow(
    bootstrap: str,
    topic: str,
    counts: Sequence[int],
    told: Callable[[int], None],
    alive: Callable[[], None],
    limit_s: float = math.inf,
) -> Curve:
    """Read decisions until the log is worked off, or the time is up.

    Args:
        bootstrap: Address of the broker.
        topic: Where the decisions are.
        counts: Events of the log by partition.
        told: Called with the events worked off so far.
        alive: Called while nothing comes; raises if nothing will.
        limit_s: How long, from the first decision on.

    Raises:
        StackError: No decision for two minutes.
    """
    curve = Curve(counts)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"bench-{topic}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    heard_s = time.monotonic()
    up_s = math.inf
    try:
        # The decisions lie in several partitions: what is under way at the end is read, too.
        while not curve.ended or time.monotonic() - heard_s < _SILENCE_S or _left(consumer):
            messages = consumer.consume(2_000, 0.25)
            for message in messages:
                value = message.value()
                if value is not None and not message.error():
                    curve.add(message.timestamp()[1], value)
            if time.monotonic() > up_s:
                break
            if messages:
                heard_s = time.monotonic()
                up_s = min(up_s, heard_s + limit_s)
                told(curve.events)
            else:
                alive()
                if time.monotonic() - heard_s > _PATIENCE_S:
                    raise StackError(
                        f"{topic}: no decision for {_PATIENCE_S:.0f} s at {curve.events} of "
                        f"{curve.total} events; see the TaskManager's log"
                    )
    finally:
        consumer.close()
    return curve


def _left(consumer: Consumer) -> bool:
    """Tell whether the broker has decisions that were not read."""
    for place in consumer.position(consumer.assignment()):
        _low, high = consumer.get_watermark_offsets(place, timeout=_QUERY_S)
        if high > max(place.offset, 0):
            return True
    return False
