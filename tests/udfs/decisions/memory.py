"""State of shards in dictionaries, and logs to feed them."""

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

    def header(self) -> bytes | None:
        """Give the header."""
        return self.shard

    def put_header(self, header: bytes) -> None:
        """Write the header."""
        self.shard = bytes(header)

    def get(self, subject: str) -> bytes | None:
        """Give a subject."""
        return self.subjects.get(subject)

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write subjects."""
        self.subjects.update(blobs)

    def remove(self, subject: str) -> None:
        """Forget a subject."""
        self.subjects.pop(subject, None)
