"""What a shard sends to Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from udfs.decisions.decision import Decision
from udfs.errors import InvalidEvent
from udfs.events.dead_letters import dead_letter
from udfs.events.late import late_copy

_encoder = msgspec.json.Encoder()


class Topics(msgspec.Struct, frozen=True):
    """Names of the topics that every job writes."""

    decisions: str = "decisions"
    late: str = "late"
    dead_letters: str = "dead_letters"
    sessions: str = "sessions"
    control: str = "control"
    acks: str = "acks"
    alerts: str = "alerts"


class Record(NamedTuple):
    """One Kafka record."""

    topic: str
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


class Outlet:
    """Collects the records of one call.

    Args:
        topics: Where they go.
        revision: Of the program in force.
    """

    __slots__ = ("_records", "_revision", "_topics")

    def __init__(self, topics: Topics, revision: int) -> None:
        self._topics = topics
        self._revision = revision
        self._records: list[Record | None] = []

    @property
    def records(self) -> list[Record]:
        """All of them, in the order in which they, or their places, were given."""
        return [record for record in self._records if record is not None]

    def place(self) -> int:
        """Keep a place for a decision that is made later, or not at all."""
        self._records.append(None)
        return len(self._records) - 1

    def decision(self, place: int, topic: str, decision: Decision) -> None:
        """A decision, keyed by its subject. A flow's topic ``decisions`` is the setting's."""
        self._records[place] = Record(
            self._topics.decisions if topic == "decisions" else topic,
            decision.user_id.encode(),
            decision.to_json(),
            {"flow": decision.flow.encode(), "revision": str(decision.revision).encode()},
        )

    def dead(
        self, key: bytes | None, raw: bytes | None, partition: int, offset: int, fault: InvalidEvent
    ) -> None:
        """A record that is no event, with its original bytes."""
        letter = dead_letter(
            raw, fault, partition=partition, offset=offset, revision=self._revision
        )
        self._records.append(
            Record(self._topics.dead_letters, key, letter.value, dict(letter.headers))
        )

    def late(
        self, subject: str, raw: bytes, partition: int, offset: int, event_time: int, clock: int
    ) -> None:
        """A marked copy of an event that came too late for the rules."""
        copy = late_copy(
            raw, event_time=event_time, firing_clock=clock, partition=partition, offset=offset
        )
        self._records.append(
            Record(self._topics.late, subject.encode(), copy.value, dict(copy.headers))
        )

    def session(self, subject: str, record: Mapping[str, Any]) -> None:
        """A session that has ended."""
        self._records.append(
            Record(self._topics.sessions, subject.encode(), _encoder.encode(record), {})
        )

    def control(self, kind: str, shard: int, offsets: dict[str, int], **values: Any) -> None:
        """Something that is not in the log: where it happened, and what."""
        value = {"kind": kind, "shard": shard, "offsets": offsets, **values}
        self._records.append(
            Record(self._topics.control, str(shard).encode(), _encoder.encode(value), {})
        )
