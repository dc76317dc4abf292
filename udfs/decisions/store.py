"""Where a shard's state lives: what Flink, or a dictionary, has to be able to do."""

from __future__ import annotations

from typing import Protocol

from udfs.decisions.wheel import ChunkStore


class ShardStore(Protocol):
    """State of one shard: its header, its subjects, its deadlines, its journal."""

    @property
    def chunks(self) -> ChunkStore:
        """Chunks of the deadline wheel."""

    def header(self) -> bytes | None:
        """Give the header, or None for a shard that never worked."""

    def put_header(self, header: bytes) -> None:
        """Write the header."""

    def get(self, subject: str) -> bytes | None:
        """Give a subject's blob, or None."""

    def put_all(self, blobs: dict[str, bytes]) -> None:
        """Write the blobs of several subjects."""

    def remove(self, subject: str) -> None:
        """Forget a subject."""

    def journal(self) -> list[bytes]:
        """Give the journal's entries in the order in which they were written."""

    def append(self, number: int, entry: bytes) -> None:
        """Write an entry of the journal.

        Args:
            number: How many there are already.
            entry: The entry.
        """

    def clear_journal(self) -> None:
        """Forget the journal."""

    def program(self) -> bytes | None:
        """Give the manifest under which the journal was written, or None."""

    def put_program(self, payload: bytes) -> None:
        """Write that manifest."""

    def ages(self) -> bytes | None:
        """Give since when the rules are in force, or None."""

    def put_ages(self, ages: bytes) -> None:
        """Write since when the rules are in force."""
