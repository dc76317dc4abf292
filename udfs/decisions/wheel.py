"""Which subjects have a deadline, and when: a timing wheel whose state survives a restart.

A subject is filed once, in a bucket that begins at or before its deadline. The further away
the deadline, the wider the bucket: a subject may be woken early, looks at its own state, and
is filed again, so that the number of buckets stays small and a later deadline costs nothing
(hashed hierarchical timing wheels: Varghese and Lauck, 1987). Buckets are kept as chunks of
at most `CHUNK` names, each one value of the store, so that filing a subject rewrites one
chunk and a restart reads back the keys alone.

Each partition has a wheel of its own, because each has a clock of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

CHUNK: Final = 128
"""Subjects in one stored value: about 2 KB, small enough to be rewritten in every batch."""

_FINEST_BITS: Final = 6
"""Narrowest bucket, 64 ms: about one micro-batch."""

_SPREAD_BITS: Final = 3
"""A bucket is at most 1/8 of the way to the deadline wide: 8 early wake-ups at most per octave."""


class ChunkStore(Protocol):
    """Where chunks live: a map of text to bytes."""

    def get(self, key: str) -> bytes | None:
        """Give a chunk, or None."""

    def put(self, key: str, chunk: bytes) -> None:
        """Write a chunk."""

    def remove(self, key: str) -> None:
        """Forget a chunk."""

    def keys(self) -> Iterable[str]:
        """All keys, in any order."""


class _Bucket:
    """One bucket: its chunks' numbers, and the names of the newest one while it is open."""

    __slots__ = ("dirty", "names", "sequence", "stored")

    def __init__(self) -> None:
        self.stored: list[int] = []
        self.sequence = -1
        self.names: list[str] = []
        self.dirty = False


class Wheel:
    """The deadlines of one shard.

    Args:
        store: The chunks; only their keys are read here.
    """

    __slots__ = ("_buckets", "_changed", "_dirty", "_queues", "_store")

    def __init__(self, store: ChunkStore) -> None:
        self._store = store
        self._buckets: dict[tuple[int, int], dict[int, _Bucket]] = {}
        self._queues: dict[int, list[tuple[int, int]]] = {}
        self._changed: dict[str, bytes | None] = {}
        self._dirty: list[tuple[int, int, int, _Bucket]] = []
        for key in store.keys():  # noqa: SIM118 - a store, not a dict
            partition, bits, start, sequence = (int(part) for part in key.split(":"))
            bucket = self._bucket(partition, bits, start)
            bucket.stored.append(sequence)
            bucket.sequence = max(bucket.sequence, sequence + 1)

    def _bucket(self, partition: int, bits: int, start: int) -> _Bucket:
        buckets = self._buckets.setdefault((partition, bits), {})
        bucket = buckets.get(start)
        if bucket is None:
            bucket = buckets[start] = _Bucket()
            heapq.heappush(self._queues.setdefault(partition, []), (start, bits))
        return bucket

    def arm(self, partition: int, subject: str, deadline: int, clock: int) -> int:
        """File a subject.

        Args:
            partition: Whose clock counts.
            subject: Its name.
            deadline: Event time in ms at which it must be woken.
            clock: The partition's firing clock now, ms.

        Returns:
            The time at which it will be woken, at most `deadline`.
        """
        away = deadline - clock
        bits = max(_FINEST_BITS, away.bit_length() - _SPREAD_BITS) if away > 0 else _FINEST_BITS
        start = (deadline >> bits) << bits
        if start <= clock < deadline:
            # The bucket has begun already; waking the subject at once would help nobody.
            bits, start = 0, deadline
        bucket = self._bucket(partition, bits, start)
        if bucket.sequence < 0:
            bucket.sequence = 0
        elif len(bucket.names) >= CHUNK:
            self._write(partition, bits, start, bucket)
            bucket.stored.append(bucket.sequence)
            bucket.sequence += 1
            bucket.names = []
        bucket.names.append(subject)
        if not bucket.dirty:
            bucket.dirty = True
            self._dirty.append((partition, bits, start, bucket))
        return start

    def due(self, partition: int, clock: int) -> list[str]:
        """Take out all subjects whose bucket has begun.

        Args:
            partition: Whose clock it is.
            clock: The firing clock, ms.

        Returns:
            Names, each at least once; a name filed twice may come twice.
        """
        queue = self._queues.get(partition)
        if not queue or queue[0][0] > clock:
            return []
        found: list[str] = []
        while queue and queue[0][0] <= clock:
            start, bits = heapq.heappop(queue)
            bucket = self._buckets[partition, bits].pop(start)
            for sequence in bucket.stored:
                key = f"{partition}:{bits}:{start}:{sequence}"
                chunk = self._changed[key] if key in self._changed else self._store.get(key)
                if chunk is not None:
                    found.extend(msgspec.msgpack.decode(chunk, type=list[str]))
                    self._changed[key] = None
            if bucket.names:
                found.extend(bucket.names)
                # Harmless when the open chunk was never written.
                self._changed[f"{partition}:{bits}:{start}:{bucket.sequence}"] = None
                bucket.dirty = False
        return found

    def next_wake(self, partition: int) -> int | None:
        """Give the clock at which `due` will next find somebody, ms, or None."""
        queue = self._queues.get(partition)
        return queue[0][0] if queue else None

    def partitions(self) -> list[int]:
        """Give the partitions in which somebody is filed."""
        return [partition for partition, queue in self._queues.items() if queue]

    def flush(self) -> None:
        """Write what was filed or taken out since the last flush; the store changes here alone."""
        for partition, bits, start, bucket in self._dirty:
            if bucket.dirty:
                self._write(partition, bits, start, bucket)
                bucket.dirty = False
        self._dirty.clear()
        for key, chunk in self._changed.items():
            if chunk is None:
                self._store.remove(key)
            else:
                self._store.put(key, chunk)
        self._changed.clear()

    def _write(self, partition: int, bits: int, start: int, bucket: _Bucket) -> None:
        key = f"{partition}:{bits}:{start}:{bucket.sequence}"
        self._changed[key] = msgspec.msgpack.encode(bucket.names)
