"""Records that were worked off but whose effect on the state is not written yet.

Writing the state of every subject that a batch touched would cost as much as all the rest. So a
shard writes the batch instead, as it came, and the subjects only now and then (`Shard.flush`).
After a restart it works off the journal once more, from the state of the last flush: the same
records give the same state, and what was sent then is not sent again.

An entry is MessagePack: ``[killed, now_ms, keys, values, partitions, offsets]``: all that the
result depends on besides the state and the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from udfs.decisions.killed import Killed
from udfs.errors import StateIncompatible

MOST_EVENTS: Final = 1_000
"""Events after which a shard flushes: worked off again in some 20 ms after a restart."""

MOST_BYTES: Final = 1 << 20
"""Bytes after which it flushes."""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One batch as it came.

    Args:
        killed: What the kill switches stopped.
        now_ms: Wall clock.
        keys: Kafka keys.
        values: Kafka values.
        partitions: Kafka partitions.
        offsets: Kafka offsets.
    """

    killed: Killed
    now_ms: int
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    partitions: Sequence[int]
    offsets: Sequence[int]


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
