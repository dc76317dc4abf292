"""What the job keeps of one subject: a header that is always read, and sections that are not.

The blob is MessagePack: ``[version, revision, time, partition, newest, armed, deadline, expiry,
hashes, times, limits, buffer, aggregates, runs, session, session_due]``. Aggregates, runs and
session are blobs of their own packages; they are decoded when an event touches them and copied when
none does. Blobs of before there were sessions are shorter.
"""

from __future__ import annotations

from typing import Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.events.codec import to_msgpack
from udfs.events.event import Event

VERSION: Final = 1

NEVER: Final = 2**63 - 1
"""A deadline that no clock reaches."""


class Held(msgspec.Struct, array_like=True, gc=False):
    """One event in the reorder buffer.

    Args:
        event_time: ms since the epoch.
        partition: Where it lay.
        offset: Its place there: equal times keep Kafka order.
        packed: The event as MessagePack (`udfs.events.codec.to_msgpack`).
    """

    event_time: int
    partition: int
    offset: int
    packed: bytes


class Subject(msgspec.Struct, array_like=True, gc=False):
    """State of one subject, as stored.

    Args:
        version: Of this layout.
        revision: Of the program that wrote it.
        time: E, the time of its rules, ms.
        partition: The partition in which it was last seen; its clock fires the deadlines.
        newest: Largest event time given to the aggregates, late ones included, ms.
        armed: Start of the bucket in which the wheel holds it, `NEVER` if in none.
        deadline: When a run wants to be woken, ms, `NEVER` if none does.
        expiry: When nothing in here can matter any more, ms.
        hashes: Recent event ids (`udfs.events.dedupe`).
        times: Their times.
        limits: Times of the decisions that count against a flow's limit, by flow.
        buffer: Events that wait for the clock, in order of (event_time, offset).
        aggregates: Blob of `udfs.aggregation`.
        runs: Blob of `udfs.matching`.
        session: Blob of `udfs.stitching`.
        session_due: Clock at which the session may have ended, ms, `NEVER` without one.
    """

    version: int = VERSION
    revision: int = 0
    time: int = 0
    partition: int = -1
    newest: int = 0
    armed: int = NEVER
    deadline: int = NEVER
    expiry: int = NEVER
    hashes: bytearray = msgspec.field(default_factory=bytearray)
    times: bytearray = msgspec.field(default_factory=bytearray)
    limits: dict[str, list[int]] = {}
    buffer: list[Held] = []
    aggregates: bytes = b""
    runs: bytes = b""
    session: bytes = b""
    session_due: int = NEVER

    @property
    def last(self) -> int:
        """When anything happened last, ms."""
        return max(self.time, self.newest)

    def wake_at(self, retention_ms: int) -> int:
        """Give the earliest clock at which something must happen without a new event, ms.

        Args:
            retention_ms: How long after its last event the state can matter.
        """
        wake = min(self.deadline, self.session_due, self.last + retention_ms)
        return min(wake, self.buffer[0].event_time) if self.buffer else wake


def hold(buffer: list[Held], event: Event, partition: int, offset: int) -> None:
    """File an event behind all that are not newer.

    Args:
        buffer: Of a subject.
        event: The event.
        partition: Where it lay.
        offset: Its place there.
    """
    at = len(buffer)
    event_time = event.event_time
    while at and buffer[at - 1].event_time > event_time:
        at -= 1
    buffer.insert(at, Held(event_time, partition, offset, to_msgpack(event)))


_decoder = msgspec.msgpack.Decoder(Subject)
_encoder = msgspec.msgpack.Encoder()


def decode_subject(blob: bytes) -> Subject:
    """Read a stored subject.

    Raises:
        StateIncompatible: Written by a later version, or damaged.
    """
    try:
        subject = _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StateIncompatible(f"a subject's state is damaged: {error}") from error
    if subject.version != VERSION:
        raise StateIncompatible(
            f"a subject's state has version {subject.version}, this code reads {VERSION}: "
            "restore the savepoint with the release that wrote it"
        )
    return subject


def encode_subject(subject: Subject) -> bytes:
    """Write a subject."""
    return _encoder.encode(subject)
