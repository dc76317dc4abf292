"""Flink's keyed state as the store of a shard. The current key must be the shard's label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyflink.common import Types
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

# PICKLED_BYTE_ARRAY: a map of PRIMITIVE_ARRAY(BYTE) raises TypeError for an absent key in
# thread mode. The names are part of every savepoint and never change.
_SUBJECTS = MapStateDescriptor("subjects", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
_CHUNKS = MapStateDescriptor("deadlines", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
_JOURNAL = MapStateDescriptor("journal", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
_HEADER = ValueStateDescriptor("shard", Types.PICKLED_BYTE_ARRAY())
_PROGRAM = ValueStateDescriptor("program", Types.PICKLED_BYTE_ARRAY())
_AGES = ValueStateDescriptor("ages", Types.PICKLED_BYTE_ARRAY())


class FlinkChunks:
    """Chunks of the deadline wheel in a `MapState`."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def get(self, key: str) -> bytes | None:
        """Give a chunk, or None."""
        found: bytes | None = self._state.get(key)
        return found

    def put(self, key: str, chunk: bytes) -> None:
        """Write a chunk."""
        self._state.put(key, chunk)

    def remove(self, key: str) -> None:
        """Forget a chunk."""
        self._state.remove(key)

    def keys(self) -> Iterable[str]:
        """All keys."""
        return list(self._state.keys())


class FlinkStore:
    """State of whichever shard is the current key.

    Args:
        context: `RuntimeContext` of the operator.
    """

    def __init__(self, context: Any) -> None:
        self._subjects = context.get_map_state(_SUBJECTS)
        self._journal = context.get_map_state(_JOURNAL)
        self._header = context.get_state(_HEADER)
        self._program = context.get_state(_PROGRAM)
        self._ages = context.get_state(_AGES)
        self._chunks = FlinkChunks(context.get_map_state(_CHUNKS))
        # In process mode a put only fills a cache, and put_all of PyFlink 2.3 is broken there:
        # it takes the keys of the dictionary apart.
        self._embedded = ".embedded." in type(self._subjects).__module__

    @property
    def chunks(self) -> FlinkChunks:
        """Chunks of the deadline wheel."""
        return self._chunks

    def header(self) -> bytes | None:
        """Give the shard's header, or None."""
        found: bytes | None = self._header.value()
        return found

    def put_header(self, header: bytes) -> None:
        """Write the shard's header."""
        self._header.update(header)

    def journal(self) -> list[bytes]:
        """Give the journal's entries in order."""
        return [blob for _, blob in sorted(self._journal.items())]

    def append(self, number: int, entry: bytes) -> None:
        """Write an entry of the journal."""
        self._journal.put(f"{number:08d}", entry)

    def clear_journal(self) -> None:
        """Forget the journal."""
        self._journal.clear()

    def program(self) -> bytes | None:
        """Give the manifest under which the journal was written, or None."""
        found: bytes | None = self._program.value()
        return found

    def put_program(self, payload: bytes) -> None:
        """Write that manifest."""
        self._program.update(payload)

    def ages(self) -> bytes | None:
        """Give since when the rules are in force, or None."""
        found: bytes | None = self._ages.value()
        return found

    def put_ages(self, ages: bytes) -> None:
        """Write since when the rules are in force."""
        self._ages.update(ages)

    def get(self, subject: str) -> bytes | None:
        """Give a subject's blob, or None."""
        found: bytes | None = self._subjects.get(subject)
        return found

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write the blobs of several subjects."""
        if self._embedded:
            self._subjects.put_all(blobs)
            return
        for subject, blob in blobs.items():
            self._subjects.put(subject, blob)

    def remove(self, subject: str) -> None:
        """Forget a subject."""
        self._subjects.remove(subject)
