"""State of shards in dictionaries: for applications without Flink, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterable


class MemoryChunks:
    """Chunks of a deadline wheel in a dictionary."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """Give a chunk, or None."""
        return self.found.get(key)

    def put(self, key: str, chunk: bytes) -> None:
        """Write a chunk."""
        self.found[key] = bytes(chunk)

    def remove(self, key: str) -> None:
        """Forget a chunk."""
        self.found.pop(key, None)

    def keys(self) -> Iterable[str]:
        """All keys."""
        return list(self.found)


class MemoryStore:
    """State of one shard in dictionaries; all that a checkpoint would hold."""

    def __init__(self) -> None:
        self.chunks = MemoryChunks()
        self.subjects: dict[str, bytes] = {}
        self.shard: bytes | None = None
        self.entries: dict[int, bytes] = {}
        self.payload: bytes | None = None
        self.rule_ages: bytes | None = None

    def header(self) -> bytes | None:
        """Give the header."""
        return self.shard

    def put_header(self, header: bytes) -> None:
        """Write the header."""
        self.shard = bytes(header)

    def journal(self) -> list[bytes]:
        """Give the journal."""
        return [blob for _, blob in sorted(self.entries.items())]

    def append(self, number: int, entry: bytes) -> None:
        """Write an entry."""
        self.entries[number] = bytes(entry)

    def clear_journal(self) -> None:
        """Forget the journal."""
        self.entries.clear()

    def program(self) -> bytes | None:
        """Give the journal's manifest."""
        return self.payload

    def put_program(self, payload: bytes) -> None:
        """Write the journal's manifest."""
        self.payload = bytes(payload)

    def ages(self) -> bytes | None:
        """Give the ages of the rules."""
        return self.rule_ages

    def put_ages(self, ages: bytes) -> None:
        """Write the ages of the rules."""
        self.rule_ages = bytes(ages)

    def get(self, subject: str) -> bytes | None:
        """Give a subject."""
        return self.subjects.get(subject)

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write subjects."""
        self.subjects.update(blobs)

    def remove(self, subject: str) -> None:
        """Forget a subject."""
        self.subjects.pop(subject, None)
