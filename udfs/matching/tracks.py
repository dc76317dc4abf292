"""What a user did that rules may still refer to: columns of events by kind, oldest first.

Most of what is read from state is written back as it was. So a kind stays bytes until somebody
looks for an event of it, an event until a match tells it, and only what was added is packed.
The stored form of a kind, with `n` events, little-endian::

    order      n * int64
    rule time  n * int64, ms
    end        n * uint32, of the event's bytes, counted from the first
    holds      n * width bytes: the predicates that held, as bits numbered for the kind
    events     as `Entry.pack` writes them, one after the other
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ROW: Final = 20
"""Bytes of an event in the columns but ``holds``."""

_HAS: Final = tuple(bytes(value >> bit & 1 for value in range(256)) for bit in range(8))
"""By bit: what makes a byte 1 if it has the bit, else 0."""

_EACH: Final = 3
"""Numbers of a kind in a directory: which, how many events, how many bytes."""

_Columns: TypeAlias = dict[int, tuple[int, memoryview]]
"""By number of the kind: how many events, and their stored form."""

_LOGGED: Final = 16
"""So many events are written behind the columns; with one more they become columns, too."""

if sys.byteorder != "little":
    raise ImportError("the columns of stored events are little-endian, this machine is not")


class Track:
    """The events of one kind, with the predicates that held for each.

    Args:
        width: Bytes of ``holds`` for an event.
        stored: The stored form.
        count: How many events it has.

    Attributes:
        orders: Order of each event; see `Entry`.
        times: Rule time of each, ms.

    Raises:
        StateIncompatible: The bytes are not what `pack` writes.
    """

    __slots__ = ("_bodies", "_ends", "_entries", "_holds", "_saved", "_stored", "_width",
                 "orders", "times")  # fmt: skip

    def __init__(self, width: int, stored: bytes | memoryview = b"", count: int = 0) -> None:
        self._width = width
        self._stored: bytes | memoryview | None = stored
        """The stored form of those that were saved; None if it must be written anew."""
        self._saved = count
        """Events whose bytes `_bodies` has."""
        self._entries: list[Entry | None] = [None] * count
        self.orders = array("q")
        self.times = array("q")
        self._ends = array("I")
        self._holds = bytearray()
        self._bodies = stored[:0]
        if count:
            self._open(stored, count)

    def _open(self, stored: bytes | memoryview, count: int) -> None:
        width = stored_width(stored, count)
        self.orders.frombytes(stored[: 8 * count])
        self.times.frombytes(stored[8 * count : 16 * count])
        self._ends.frombytes(stored[16 * count : _ROW * count])
        head = (_ROW + width) * count
        self._holds += stored[_ROW * count : head]
        self._bodies = stored[head:]
        if width != self._width:  # it is from before there were so many predicates
            holds, more = bytes(self._holds), bytes(self._width - width)
            rows = [holds[at : at + width] for at in range(0, len(holds), width)]
            self._holds = bytearray(b"".join([row + more for row in rows]))
            self._stored = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry, holds: int) -> None:
        """Append an event. HOT.

        Args:
            entry: The event, later than all others.
            holds: The predicates that held for it.
        """
        self.orders.append(entry.order)
        self.times.append(entry.time)
        self._holds += holds.to_bytes(self._width, "little")
        self._entries.append(entry)

    def first(self, bit: int, after: int, alive_from: int = -1) -> int:
        """Give the place of the first event for which a predicate held, -1 for none. HOT.

        Args:
            bit: Number of the predicate.
            after: Order; only what comes later.
            alive_from: Rule time, ms; only what happened later.
        """
        at = bisect_right(self.orders, after)
        if alive_from >= 0:
            at = max(at, bisect_right(self.times, alive_from))
        width = self._width
        column = self._holds[at * width + (bit >> 3) :: width]
        place = column.translate(_HAS[bit & 7]).find(1)
        return place if place < 0 else at + place

    def entry(self, place: int) -> Entry:
        """Give an event. HOT."""
        entry = self._entries[place]
        if entry is None:
            begin = self._ends[place - 1] if place else 0
            packed = bytes(self._bodies[begin : self._ends[place]])
            entry = self._entries[place] = Entry(self.orders[place], self.times[place], packed)
        return entry

    def keep(self, needed: Callable[[int], bool]) -> None:
        """Forget all other events.

        Args:
            needed: Says of an event's order whether it is.
        """
        places = [place for place, order in enumerate(self.orders) if needed(order)]
        if len(places) == len(self._entries):
            return
        entries: list[Entry | None] = [self.entry(place) for place in places]
        orders, times, holds, width = self.orders, self.times, self._holds, self._width
        self._entries = entries
        self.orders = array("q", [orders[place] for place in places])
        self.times = array("q", [times[place] for place in places])
        self._holds = bytearray().join(
            [holds[place * width : (place + 1) * width] for place in places]
        )
        self._ends = array("I")
        self._stored = self._bodies = b""
        self._saved = 0

    def prune(self, until: int) -> None:
        """Forget the events up to a time.

        Args:
            until: Rule time, ms.
        """
        gone = bisect_right(self.times, until)
        if gone:
            last = self.orders[gone - 1]
            self.keep(lambda order: order > last)

    def rows(self) -> Iterator[tuple[int, int, bytearray]]:
        """Give order, rule time in ms, and the predicates that held, of each event."""
        width, holds = self._width, self._holds
        found = (holds[at : at + width] for at in range(0, len(holds), width))
        return zip(self.orders, self.times, found, strict=True)

    def pack(self) -> bytes | memoryview:
        """Give the stored form. HOT."""
        new = self._entries[self._saved :]
        if new or self._stored is None:
            bodies = [entry.packed or entry.pack()[2] for entry in new if entry is not None]
            ends = self._ends
            ends.extend(list(accumulate(map(len, bodies), initial=ends[-1] if ends else 0))[1:])
            self._bodies = b"".join((self._bodies, *bodies))
            self._stored = b"".join((self.orders, self.times, ends, self._holds, self._bodies))
            self._saved = len(self._entries)
        return self._stored


class _Row(msgspec.Struct, array_like=True, gc=False):
    """An event of a log."""

    kind: int
    order: int
    time: int
    holds: bytes
    event: bytes


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ROWS: Final = msgspec.msgpack.Decoder(list[_Row])


class Stored(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Tracks as bytes.

    Args:
        directory: Three uint32 for each kind: its number, how many events, how many bytes.
        rows: The stored forms of the kinds, one after the other.
        logged: How many events came later.
        log: Those, MessagePack arrays one after the other: kind, order, rule time in ms, the
            predicates that held as little-endian bits, the event.
    """

    directory: bytes | memoryview = b""
    rows: bytes | memoryview = b""
    logged: int = 0
    log: bytes | memoryview = b""


_NOTHING: Final = Stored()

_Added: TypeAlias = tuple[int, Entry, int]
"""Kind, event, and predicates that held."""


def stored_width(stored: bytes | memoryview, count: int) -> int:
    """Give how many bytes the predicates of an event take in the stored form of a track.

    Args:
        stored: The stored form.
        count: How many events it has.

    Raises:
        StateIncompatible: It is none.
    """
    last = stored[_ROW * count - 4 : _ROW * count]
    if len(last) == 4:  # noqa: PLR2004 - an uint32
        ends = int.from_bytes(last, "little")
        width, rest = divmod(len(stored) - _ROW * count - ends, count)
        if not rest and width > 0:
            return width
    raise _broken(len(stored), f"are not {count} events")


class Tracks(dict[int, Track]):
    """The tracks of a user by number of the kind; asking for one reads it.

    Args:
        widths: Bytes of ``holds`` of each kind.
        stored: What `pack` gave.
    """

    __slots__ = ("_added", "_base", "_logged", "_old", "_packed", "_unread", "_whole", "_widths")

    def __init__(self, widths: Sequence[int], stored: Stored = _NOTHING) -> None:
        super().__init__()
        self._widths = widths
        self._base = stored
        self._unread: _Columns | None = None
        """The kinds of the base that nobody has asked for; None as long as nobody has for any."""
        self._old: list[_Added] | None = None
        """The log of the base; None as long as nobody has asked for it."""
        self._added: list[_Added] = []
        """What came since the base was read."""
        self._packed = stored
        """The base, and so much of what came since."""
        self._logged = 0
        self._whole = True
        """Whether nothing of the base was forgotten."""

    def __missing__(self, kind: int) -> Track:
        unread, old = self._read()
        count, rows = unread.pop(kind, (0, b""))
        track = self[kind] = Track(self._widths[kind], rows, count)
        for added in (old, self._added):
            for of, entry, holds in added:
                if of == kind:
                    track.add(entry, holds)
        return track

    def _read(self) -> tuple[_Columns, list[_Added]]:
        unread, old = self._unread, self._old
        if unread is None or old is None:
            unread = self._unread = _columns(self._base)
            old = self._old = _log(self._base)
        return unread, old

    def add(self, kind: int, entry: Entry, holds: int) -> None:
        """Append an event. HOT.

        Args:
            kind: Number of its kind.
            entry: The event, later than all others.
            holds: The predicates that held for it.
        """
        self._added.append((kind, entry, holds))
        track = self.get(kind)
        if track is not None:
            track.add(entry, holds)

    def _all(self) -> Iterable[Track]:
        unread, old = self._read()
        for kind in {*unread, *(of for of, _, _ in old), *(of for of, _, _ in self._added)}:
            self[kind]  # reads it
        return self.values()

    def rows(self) -> list[tuple[int, int, bytearray, int]]:
        """Give order, rule time in ms, predicates that held, and kind of each event, in order."""
        self._all()
        return sorted([(*row, kind) for kind, track in self.items() for row in track.rows()])

    def keep(self, needed: Callable[[int], bool]) -> int:
        """Forget all other events.

        Args:
            needed: Says of an event's order whether it is.

        Returns:
            How many are left.
        """
        for track in self._all():
            track.keep(needed)
        return self._forgotten()

    def prune(self, until: int) -> int:
        """Forget the events up to a time.

        Args:
            until: Rule time, ms.

        Returns:
            How many are left.
        """
        for track in self._all():
            track.prune(until)
        return self._forgotten()

    def _forgotten(self) -> int:
        self._whole = False
        self._old = []
        self._added = []
        return sum(map(len, self.values()))

    def pack(self) -> Stored:
        """Give all as bytes. HOT."""
        packed, added = self._packed, self._added
        if self._whole and self._base.logged + len(added) <= _LOGGED:
            new = added[self._logged :]
            if new:
                self._logged = len(added)
                rows = [
                    _ENCODE(
                        (kind, entry.order, entry.time,
                         holds.to_bytes(self._widths[kind], "little"),
                         entry.packed or entry.pack()[2])
                    )
                    for kind, entry, holds in new
                ]  # fmt: skip
                packed = self._packed = Stored(
                    packed.directory, packed.rows, packed.logged + len(new),
                    b"".join((packed.log, *rows)),
                )  # fmt: skip
            return packed
        return self._pack_all()

    def _pack_all(self) -> Stored:
        unread, old = self._read()
        for kind in {of for added in (old, self._added) for of, _, _ in added}:
            self[kind]  # reads it
        flat: list[int] = []
        pieces: list[bytes | memoryview] = []
        for kind, (count, rows) in unread.items():
            flat += (kind, count, len(rows))
            pieces.append(rows)
        for kind, track in self.items():
            if track:
                packed = track.pack()
                flat += (kind, len(track), len(packed))
                pieces.append(packed)
        self._base = self._packed = Stored(array("I", flat).tobytes(), b"".join(pieces))
        self._old, self._added, self._logged = [], [], 0
        self._whole = True
        return self._base


def read(stored: Stored) -> list[Entry]:
    """Give the events of tracks that another rule set has stored, oldest first.

    Raises:
        StateIncompatible: The bytes are not what `Tracks.pack` gives.
    """
    found = {entry.order: entry for _, entry, _ in _log(stored)}
    for count, rows in _columns(stored).values():
        track = Track(stored_width(rows, count), rows, count)
        found.update(zip(track.orders, map(track.entry, range(count)), strict=True))
    return [found[order] for order in sorted(found)]


def _log(stored: Stored) -> list[_Added]:
    """Give the events that came after the columns were written."""
    if not stored.logged:
        return []
    try:
        rows = _ROWS.decode(b"\xdd" + stored.logged.to_bytes(4, "big") + bytes(stored.log))
    except msgspec.DecodeError as error:
        raise _broken(len(stored.log), f"are not {stored.logged} events ({error})") from error
    return [
        (row.kind, Entry(row.order, row.time, row.event), int.from_bytes(row.holds, "little"))
        for row in rows
    ]


def _columns(stored: Stored) -> _Columns:
    """Give number of events and stored form of each kind."""
    directory, view = stored.directory, memoryview(stored.rows)
    found = {}
    at = 0
    if len(directory) % (4 * _EACH) == 0:
        numbers = iter(array("I", bytes(directory)))
        for kind, count, size in zip(numbers, numbers, numbers, strict=True):
            found[kind] = (count, view[at : at + size])
            at += size
    if at != len(view):
        raise _broken(len(view), "are not what the directory says")
    return found


def _broken(count: int, why: str) -> StateIncompatible:
    return StateIncompatible(f"{count} bytes {why}: restore an older savepoint")
