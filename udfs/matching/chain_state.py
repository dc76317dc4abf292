"""What is kept of one user for the rules that are chains."""

from __future__ import annotations

import math
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from udfs.matching.tracks import Tracks

ROOM: Final = 64
"""Events kept below which it is not worth looking for those that nobody needs."""


class Named(msgspec.Struct, gc=False, eq=False):
    """How other rule sets can tell which chains may have runs.

    Args:
        bits: Positions of the chains that are named.
        rules: Structure hash and number of positions of each, 9 bytes.
        places: First position of each, uint32.
    """

    bits: int
    rules: bytes | memoryview
    places: bytes | memoryview


class Section(msgspec.Struct, array_like=True, gc=False):
    """The stored form; what is most of it comes behind, so that it is copied but once.

    Args:
        digest: Of the chains that wrote it.
        waiting: Positions at which a run may wait, little-endian bits.
        eager: Positions of chains whose runs are kept one by one.
        check_at: When to look for events that nobody needs any more, ms.
        newest: Rule time of the newest event, ms.
        count: How many events are kept.
        room: See `Chains`.
        cap: Likewise; None for no cap.
        floors: For every floor number of the chain and order, int64.
        named: See `Named`, as are the next two: positions, little-endian bits.
        rules: For every chain that may have a run: structure hash, number of positions.
        places: For each of those the first position, uint32.
        directory: See `udfs.matching.tracks.Stored`, as are the next two.
        rows_bytes: How long the rows are, which come first behind.
        logged: How many events come last.
    """

    digest: bytes
    waiting: bytes
    eager: bytes
    check_at: int
    newest: int
    count: int
    room: int
    cap: int | None
    floors: memoryview
    named: bytes
    rules: memoryview
    places: memoryview
    directory: memoryview
    rows_bytes: int
    logged: int


class Chains:
    """What is kept of one user.

    Args:
        tracks: The events, by kind.
        floors: See `floors`; pairs of int64.

    Attributes:
        waiting: Positions at which a run may wait.
        check_at: When to look for events that nobody needs any more, ms.
        newest: Rule time of the newest event kept, ms.
        eager: Positions of the chains whose runs are kept one by one.
        count: Events kept.
        room: How many may be kept until somebody looks for those that nobody needs.
        cap: From so many events on, a rule may have too many runs.
        named: The chains that may have runs, as they were last written.
    """

    __slots__ = ("_floors", "_packed_floors", "cap", "check_at", "count", "eager", "named",
                 "newest", "room", "tracks", "waiting")  # fmt: skip

    def __init__(self, tracks: Tracks, floors: bytes | memoryview = b"") -> None:
        self.tracks = tracks
        self._packed_floors = floors
        self._floors: dict[int, int] | None = None
        self.waiting = 0
        self.check_at = 0
        self.newest = 0
        self.eager = 0
        self.count = 0
        self.room = ROOM
        self.cap: float = math.inf
        self.named: Named | None = None

    @property
    def floors(self) -> dict[int, int]:
        """By chain: no run that began with this order or an earlier one is alive. HOT."""
        floors = self._floors
        if floors is None:
            numbers = iter(array("q", bytes(self._packed_floors)))
            floors = self._floors = dict(zip(numbers, numbers, strict=True))
        return floors

    @floors.setter
    def floors(self, floors: dict[int, int]) -> None:
        self._floors = floors

    def pack_floors(self) -> bytes | memoryview:
        """Give the floors as pairs of int64. HOT."""
        if self._floors is None:
            return self._packed_floors
        return array("q", chain.from_iterable(self._floors.items())).tobytes()
