"""What is kept of one user, and its bytes.

One byte of version (1), then a MessagePack array of the fields of `State`. ``log`` holds the events
of all sessions that are not closed (`udfs.stitching.log`), in order of arrival; ``track`` is where
the user is in the newest of them (`udfs.stitching.track`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_digest

from udfs.errors import StateIncompatible
from udfs.stitching.log import NOTHING, packed, packed_more, unpacked
from udfs.stitching.rows import Item, More, Row
from udfs.stitching.track import Track

VERSION: Final = b"\x01"
_VERSION: Final = VERSION[0]
HASH_BYTES: Final = 8
_NEVER: Final = -1


class State(msgspec.Struct, array_like=True):
    """Sessions of one user that are not closed; made by `decode` only.

    Args:
        floor: Time of the last event of the last closed session; what is older is too late.
        oldest: Earliest event time in `log`.
        newest: Latest event time.
        due: Firing clock at which the first session may be closed, if there are others or if
            `stale`; else it follows from `track`.
        rows: Entries in `log`.
        kept: Those of the newest session.
        pending: Sessions before the newest one.
        stale: `track` does not know of some events: they came out of order.
        time: Of the last entry of `log`, where the next one counts from.
        texts: Fields of the last event in `log`.
        more: Time of the first, time of the last, and number of events that are not kept, with
            the page they belong to, if they are the latest; empty otherwise.
        log: See the module.
        hashes: 8 bytes (XXH3-64) for each event id; at least for the `Caps.events` latest ones.
        track: The newest session.
    """

    floor: int = _NEVER
    oldest: int = _NEVER
    newest: int = _NEVER
    due: int = _NEVER
    rows: int = 0
    kept: int = 0
    pending: int = 0
    stale: bool = False
    time: int = 0
    texts: tuple[Any, ...] = NOTHING
    more: tuple[Any, ...] = ()
    log: bytearray = msgspec.field(default_factory=bytearray)
    hashes: bytearray = msgspec.field(default_factory=bytearray)
    track: Track = msgspec.field(default_factory=Track)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(State).decode


def decode(blob: bytes) -> State:
    """Read the state of a user.

    Args:
        blob: What `encode` gave; empty for a new user.

    Raises:
        StateIncompatible: Another version, or not such bytes.
    """
    if not blob:
        return State()
    if blob[0] != _VERSION:
        raise StateIncompatible(
            f"a session of version {blob[0]}, this code reads {_VERSION}: "
            "restore with the release that wrote it"
        )
    try:
        return _unpack(memoryview(blob)[1:])
    except msgspec.DecodeError as error:
        raise StateIncompatible(
            f"{len(blob)} bytes of state are no session ({error}): they are damaged"
        ) from error


def encode(state: State) -> bytes:
    """Give the state as bytes; empty if there is nothing to keep. HOT."""
    return VERSION + _pack(state) if state.rows else b""


def items_of(state: State) -> list[Item]:
    """Give what is kept, in order of arrival.

    Raises:
        StateIncompatible: The log is damaged.
    """
    try:
        items = unpacked(state.log, state.rows)
    except (msgspec.DecodeError, IndexError, TypeError) as error:
        raise StateIncompatible(
            f"{len(state.log)} bytes of state are no events ({error}): they are damaged"
        ) from error
    if state.more:
        items.append(More(*state.more))
    return items


def replace(state: State, items: Iterable[Item]) -> None:
    """Keep only some items; with none the state is that of a new user.

    Args:
        state: Changed in place; its ``track`` is empty afterwards.
        items: By time.
    """
    fresh = State()
    for item in items:
        if not fresh.rows:
            fresh.floor, fresh.newest, fresh.oldest = state.floor, state.newest, item[0]
        _put(fresh, item)
    for name in State.__struct_fields__:
        setattr(state, name, getattr(fresh, name))


def flush(state: State) -> None:
    """Write the run of events that are not kept to the log."""
    more = More(*state.more)
    state.more = ()
    state.log += packed_more(more, state.time)
    state.time = more.time
    state.rows += 1
    state.kept += 1


def holds(hashes: bytearray, h: bytes) -> bool:
    """Whether a hash stands there by itself, not in the middle of two others."""
    at = hashes.find(h)
    while at >= 0 and at % HASH_BYTES:
        at = hashes.find(h, at + 1)
    return at >= 0


def _put(state: State, item: Item) -> None:
    """Append an item to the log as it is."""
    if type(item) is More:
        state.log += packed_more(item, state.time)
        state.time = item.time
    else:
        row: Row = item  # type: ignore[assignment]
        state.log += packed(row, state.time, state.texts)
        state.hashes += xxh3_64_digest(row[1].encode())
        state.time, state.texts = row[0], row[2:]
    state.rows += 1
