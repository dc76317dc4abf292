"""State of a shard as a whole: clocks, counts, timer."""

from __future__ import annotations

from typing import Final

import msgspec

from udfs.errors import StateIncompatible

VERSION: Final = 2
"""1: clocks had no `first`."""

COUNTS: Final = (
    "in", "applied", "late", "dead", "doubled", "decisions", "limited", "refused", "killed",
    "matches", "expression_errors", "regressions", "moved", "scored", "defaulted", "failed_reads",
)  # fmt: skip
"""What a shard counts. in = applied + late + dead + doubled + held back in reorder buffers;
limited, refused (condition false) and killed are triggers that gave no decision; regressions
are offsets that fell, moved are subjects that turned up in another partition; scored are rows
that a model was asked for, defaulted are features and scores that are defaults, failed_reads are
decisions for which a table could not be read. Expressions are
shared by the shards of a worker: their errors are counted by the shard that tells next."""


class Clock(msgspec.Struct, array_like=True):
    """Clock of one partition as this shard sees it.

    Args:
        newest: Largest event time seen, ms.
        offset: Largest offset seen.
        first: Time of the first event seen, ms; -1 before that, 0 if nobody noted it.
    """

    newest: int
    offset: int
    first: int = -1


class Header(msgspec.Struct, array_like=True):
    """State of a shard as a whole.

    Args:
        version: Of this layout.
        revision: Of the program that the shard has last worked with, -1 for none.
        clocks: By partition.
        counts: See `COUNTS`; since the job was first started.
        timer_at: When its timer rings, wall clock ms, 0 for no timer.
        told: ``counts["in"]`` and ``counts["decisions"]`` when counts were last sent.
    """

    version: int = VERSION
    revision: int = -1
    clocks: dict[int, Clock] = {}
    counts: dict[str, int] = {}
    timer_at: int = 0
    told: tuple[int, int] = (0, 0)

    def offsets(self) -> dict[str, int]:
        """Give the largest offset of each partition."""
        return {str(partition): clock.offset for partition, clock in self.clocks.items()}

    def tally(self) -> tuple[int, int]:
        """Give what must have changed since `told`, or there is nothing to tell."""
        return self.counts["in"], self.counts["decisions"]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Header).decode


def encode_header(header: Header) -> bytes:
    """Write a header."""
    return _encode(header)


def decode_header(blob: bytes | None) -> Header:
    """Read a header, or make one for a shard that never worked.

    Raises:
        StateIncompatible: Written by a later version, or damaged.
    """
    header = Header()
    if blob is not None:
        try:
            header = _decode(blob)
        except msgspec.DecodeError as error:
            raise StateIncompatible(f"a shard's header is damaged: {error}") from error
    if header.version == 1:
        header.version = VERSION
        for clock in header.clocks.values():
            clock.first = min(clock.newest, 0)
    if header.version != VERSION:
        raise StateIncompatible(
            f"a shard's header has version {header.version}, this code reads {VERSION}: "
            "restore the savepoint with the release that wrote it"
        )
    for name in COUNTS:
        header.counts.setdefault(name, 0)
    return header
