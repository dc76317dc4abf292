"""Records that were worked off but whose effect on the state is not written yet.

Writing the state of every subject that a batch touched would cost as much as all the rest. So a
shard writes the batch instead, as it came, and the subjects only now and then (`Shard.flush`).
After a restart it works off the journal once more, from the state of the last flush: the same
records give the same state, and what was sent then is not sent again.

An entry is MessagePack: ``[killed, now_ms, keys, values, partitions, offsets, outcomes,
kept_back]``: all that the state depends on besides the state before and the program's text. What
tables and models had to do with it is in the outcomes, what fuses of rules had in `kept_back`: a
fuse counts the matches of all shards of a worker. Entries of earlier releases lack them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from udfs.decisions.killed import Killed
from udfs.decisions.store import ShardStore
from udfs.errors import StateIncompatible

MOST_EVENTS: Final = 4_000
"""Events after which a shard flushes: worked off again in some 80 ms after a restart."""

MOST_BYTES: Final = 2 << 20
"""Bytes after which it flushes."""


_SPREAD: Final = 32


class Outcomes(msgspec.Struct, array_like=True, gc=False):
    """What became of the triggers of a batch.

    Args:
        decided: One byte a trigger in order: 1 if it gave a decision.
        counted: What was counted meanwhile.
    """

    decided: bytes
    counted: dict[str, int]


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One batch as it came.

    Args:
        killed: What the kill switches stopped.
        now_ms: Wall clock.
        keys: Kafka keys.
        values: Kafka values.
        partitions: Kafka partitions.
        offsets: Kafka offsets.
        outcomes: What became of the triggers; None before they are settled, or if there were none.
        kept_back: Rules whose fuse is gone after it, each with its matches in it until then.
    """

    killed: Killed
    now_ms: int
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    partitions: Sequence[int]
    offsets: Sequence[int]
    outcomes: Outcomes | None = None
    kept_back: dict[str, int] = {}


_encode = msgspec.msgpack.Encoder(enc_hook=list).encode  # any sequence will do, a range too
_decoder = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Write an entry."""
    return _encode(entry)


def decode_entry(blob: bytes) -> Entry:
    """Read an entry.

    Raises:
        StateIncompatible: Not what `encode_entry` writes.
    """
    try:
        return _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise StateIncompatible(f"a journal entry is damaged: {error}") from error


class Journal:
    """The journal of one shard, and when it is full.

    Args:
        store: Where entries live.
        most_events: It is full when it holds so many.
        most_bytes: It is full when its entries are so long.
    """

    def __init__(self, store: ShardStore, most_events: int, most_bytes: int) -> None:
        self._store = store
        self._most_events = most_events
        self._most_bytes = most_bytes
        self.entries = 0
        self._events = self._bytes = 0

    def read(self) -> list[Entry]:
        """Give what an earlier attempt has left."""
        entries = [decode_entry(blob) for blob in self._store.journal()]
        self.entries = len(entries)
        return entries

    def keep(self, entry: Entry) -> bool:
        """Write an entry; False if it is full, so that the state must be written instead."""
        self._events += len(entry.keys)
        if self._events >= self._most_events:
            return False
        blob = encode_entry(entry)
        self._bytes += len(blob)
        if self._bytes >= self._most_bytes:
            return False
        self._store.append(self.entries, blob)
        self.entries += 1
        return True

    def spread(self, number: int) -> None:
        """Let an empty journal be full sooner, each shard's at another time.

        Shards fill up equally fast: without this all of a worker would flush at once, and every
        decision would wait for that.

        Args:
            number: Of the shard.
        """
        self._events = self._most_events * (number % _SPREAD) // _SPREAD

    def clear(self) -> None:
        """Forget everything: the state is written."""
        if self.entries:
            self._store.clear_journal()
        self.entries = self._events = self._bytes = 0
