"""What a user did that rules may still refer to: one list of events per type, oldest first."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST: Final = 16
"""Events of a type below which it is not worth looking for old ones."""

_ENCODER: Final = msgspec.msgpack.Encoder()


class _Row(msgspec.Struct, array_like=True, gc=False):
    """An event as state keeps it."""

    order: int
    time: int
    event: bytes
    holds: bytes


_ROWS: Final = msgspec.msgpack.Decoder(list[_Row])


class Track:
    """The events of one type, with the predicates that held for each.

    It comes from state as bytes, and stays so until somebody looks for an event.

    Args:
        packed: Rows as `pack` gives them.
        count: How many.

    Attributes:
        orders: Order of each event; see `Entry`.
        times: Rule time of each, ms.
        holds: The predicates that held, as bits numbered for the type.
        entries: The events.
    """

    __slots__ = ("_closed", "_count", "_done", "_limit", "_packed", "entries", "holds", "orders",
                 "times")  # fmt: skip

    def __init__(self, packed: bytes = b"", count: int = 0) -> None:
        self.orders: list[int] = []
        self.times: list[int] = []
        self.holds: list[int] = []
        self.entries: list[Entry] = []
        self._packed = packed
        self._closed = count
        """Rows of `_packed` that are not in the lists."""
        self._count = count
        """Rows of `_packed`."""
        self._done = 0
        """Events of the lists that `_packed` has as well."""
        self._limit = _SHORTEST

    def __len__(self) -> int:
        return self._closed + len(self.orders)

    def add(self, entry: Entry, holds: int) -> None:
        """Append an event. HOT.

        Args:
            entry: The event, later than all others.
            holds: The predicates that held for it.
        """
        self.orders.append(entry.order)
        self.times.append(entry.time)
        self.holds.append(holds)
        self.entries.append(entry)

    @property
    def full(self) -> bool:
        """Whether it is time to look for events that nobody needs. HOT."""
        return len(self.orders) + self._closed > self._limit

    def open(self) -> None:
        """Read the rows, if that was not done. HOT.

        Raises:
            StateIncompatible: They are not what `pack` writes.
        """
        if not self._closed:
            return
        try:
            rows = _ROWS.decode(b"\xdd" + self._count.to_bytes(4, "big") + self._packed)
        except msgspec.DecodeError as error:
            raise StateIncompatible(
                f"{len(self._packed)} bytes of events are broken ({error}): "
                "restore an older savepoint"
            ) from error
        del rows[self._closed :]
        self.orders[:0] = [row.order for row in rows]
        self.times[:0] = [row.time for row in rows]
        self.holds[:0] = [int.from_bytes(row.holds, "little") for row in rows]
        self.entries[:0] = [Entry(row.order, row.time, row.event) for row in rows]
        self._done += self._closed
        self._closed = 0

    def prune(self, until: int) -> None:
        """Forget the events up to a time.

        Args:
            until: Rule time, ms.
        """
        self.open()
        gone = bisect_right(self.times, until)
        if gone:
            del self.orders[:gone], self.times[:gone], self.holds[:gone], self.entries[:gone]
            self._packed, self._count, self._done = b"", 0, 0
        self._limit = max(_SHORTEST, 2 * len(self.orders))

    def first(self, mask: int, after: int, alive_from: int = -1) -> int | None:
        """Give the place of the first event for which a predicate held. HOT.

        Args:
            mask: The predicate.
            after: Order; only what comes later.
            alive_from: Rule time, ms; only what happened later.
        """
        if self._closed:
            self.open()
        orders, holds = self.orders, self.holds
        at = bisect_right(orders, after)
        if alive_from >= 0:
            at = max(at, bisect_right(self.times, alive_from))
        for place in range(at, len(orders)):
            if holds[place] & mask:
                return place
        return None

    def pack(self) -> tuple[int, bytes]:
        """Give the number of rows, and the rows one after the other. HOT."""
        entries = self.entries
        new = entries[self._done :]
        if new:
            self._packed += b"".join(_packed(new, self.holds[self._done :]))
            self._count += len(new)
            self._done = len(entries)
        return self._count, self._packed


def _packed(entries: Iterable[Entry], holds: Iterable[int]) -> Iterable[bytes]:
    encode = _ENCODER.encode
    for entry, bits in zip(entries, holds, strict=True):
        order, time, event = entry.pack()
        yield encode((order, time, event, bits.to_bytes((bits.bit_length() + 7) // 8, "little")))
