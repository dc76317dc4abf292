"""State of one user's aggregates, and its bytes.

As bytes: one byte of version (3), then the MessagePack array ``[plan, newest, entries, grouped]``.
``plan`` is the hash of the plan that wrote it, ``newest`` the largest event time that concerned it.
``entries`` maps the hash of a stream (event types, condition, value) to the bytes of ``[log,
cells]``: raw entries for its sliding windows, and by the hash of window and function what all
others keep; ``grouped`` maps streams with ``group_by`` to such entries by group, the longest unused
first. What a plan does not know is dropped when a blob is next read; the rest lives on.

In version 2 the groups of functions of all kinds were one stream; they are read.

An entry is decoded when it is touched, and encoded when it was changed: an event touches a few.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from udfs.aggregation.log import Log
from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from udfs.aggregation.reader import Memo
    from udfs.aggregation.stream import Stream

VERSION: Final = b"\x03"
ONE_STREAM: Final = b"\x02"
"""The version before."""
NEVER: Final = -(2**62)
"""A time before every event: nothing was taken in yet."""

_CHANGES: Final = 1_000
"""More of them are not kept for readers that may never come again."""

Key = TypeVar("Key", bound=Hashable)


class Entry(msgspec.Struct, array_like=True, gc=False):
    """What is kept of one stream, or of one group of it.

    Args:
        log: Raw entries, None if no window needs them.
        cells: Hash of window and function -> what the window keeps.
    """

    log: Log | None
    cells: dict[int, Any]


class _Stored(msgspec.Struct, array_like=True, gc=False):
    plan: int
    newest: int
    entries: dict[int, bytes]
    grouped: dict[int, bytes]


_encode = msgspec.msgpack.Encoder().encode
_stored = msgspec.msgpack.Decoder(_Stored).decode
_entry = msgspec.msgpack.Decoder(Entry).decode
_groups = msgspec.msgpack.Decoder(dict[str, bytes]).decode


class Entries(Generic[Key]):
    """Entries by key, decoded one by one; ordered by when they were last changed.

    Args:
        raws: The bytes of each.

    Attributes:
        found: Those that are decoded. HOT: read without a call.
        changed: Keys of those that were changed, as a set that keeps its order. HOT: where that
            order does not matter, set without a call.
    """

    __slots__ = ("_raws", "changed", "found")

    def __init__(self, raws: dict[Key, bytes]) -> None:
        self._raws = raws
        self.changed: dict[Key, None] = {}
        self.found: dict[Key, Entry] = {}

    def __len__(self) -> int:
        return len(self._raws) + sum(key not in self._raws for key in self.changed)

    def __bool__(self) -> bool:
        return bool(self._raws or self.changed)

    def keys(self) -> list[Key]:
        """Give all keys, the longest unchanged first."""
        changed = self.changed
        return [*(key for key in self._raws if key not in changed), *changed]

    def get(self, key: Key) -> Entry | None:
        """Give an entry, None if there is none."""
        entry = self.found.get(key)
        if entry is None:
            raw = self._raws.get(key)
            if raw is not None:
                try:
                    entry = self.found[key] = _entry(raw)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise _damaged(error) from error
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, as the last changed."""
        self.found[key] = entry
        self.changed.pop(key, None)
        self.changed[key] = None

    def remove(self, key: Key) -> None:
        """Drop an entry."""
        self._raws.pop(key, None)
        self.changed.pop(key, None)
        self.found.pop(key, None)

    def raw(self) -> dict[Key, bytes]:
        """Encode what was changed; give the bytes of all."""
        raws, found = self._raws, self.found
        for key in self.changed:
            raws.pop(key, None)
            raws[key] = _encode(found[key])
        self.changed.clear()
        return raws


class State:
    """Aggregates of one user; made by `Plan.decode` only.

    Args:
        plan: Hash of the plan it belongs to.
        newest: Largest event time that concerned the plan, ms; readings are not before it.
        entries: By stream.
        grouped: By stream with groups, bytes of the entries by group.

    Attributes:
        cold: What was put off, by stream: see `udfs.aggregation.stream.Stream.settle`.
        memos: What was read, by reader. Not stored.
        changes: Streams that were changed since the first of them, in order.
        cut: Aggregates whose window held too many events when they were read last: by name the
            time from which none is missing, ms. Not stored.
        tidy_at: Event time at which what is over is looked for, ms. Not stored.
    """

    __slots__ = (
        "_groups", "_raw_groups", "changes", "cold", "cut", "entries", "memos", "newest", "plan",
        "tidy_at",
    )  # fmt: skip

    def __init__(
        self,
        plan: int,
        newest: int,
        entries: dict[int, bytes] | None = None,
        grouped: dict[int, bytes] | None = None,
    ) -> None:
        self.plan = plan
        self.newest = newest
        self.entries: Entries[int] = Entries(entries or {})
        self._raw_groups = grouped or {}
        self._groups: dict[int, Entries[str]] = {}
        self.cold: list[tuple[Stream, Entry, int, int, Any]] = []
        self.memos: dict[int, Memo] = {}
        self.changes: list[int] = []
        self.cut: dict[str, int] = {}
        self.tidy_at = 0

    def __bool__(self) -> bool:
        return bool(self.entries or self._raw_groups or self._groups)

    def grouped_keys(self) -> list[int]:
        """Give the streams that have groups."""
        return list(dict.fromkeys([*self._raw_groups, *self._groups]))

    def groups(self, key: int) -> Entries[str] | None:
        """Give the entries of a stream by group, None if there are none."""
        found = self._groups.get(key)
        if found is None:
            raw = self._raw_groups.get(key)
            if raw is not None:
                found = self._groups[key] = Entries(guarded(_groups, raw))
        return found

    def new_groups(self, key: int) -> Entries[str]:
        """Begin the groups of a stream."""
        found: Entries[str] = Entries({})
        self._groups[key] = found
        return found

    def copy_groups(self, key: int, to: int) -> None:
        """Give a stream the groups that another one has stored, if it has none."""
        raw = self._raw_groups.get(key)
        if raw is not None:
            self._raw_groups.setdefault(to, raw)

    def remove_groups(self, key: int) -> None:
        """Drop all groups of a stream."""
        self._groups.pop(key, None)
        self._raw_groups.pop(key, None)

    def settle(self) -> None:
        """Do what was put off for cold aggregates, in the order in which it came."""
        for stream, entry, time, newest, item in self.cold:
            stream.settle(entry, time, newest, item)
        self.cold.clear()

    def encode(self) -> bytes:
        """Write the state; empty if there is nothing to keep. HOT."""
        if self.cold:
            self.settle()
        if len(self.changes) > _CHANGES:
            self.changes.clear()
            self.memos.clear()
        entries = self.entries.raw()
        grouped = self._raw_groups
        for key, groups in self._groups.items():
            grouped[key] = _encode(groups.raw())
        if not entries and not grouped:
            return b""
        return VERSION + _encode((self.plan, self.newest, entries, grouped))


def decode(blob: bytes) -> State:
    """Read a state of this version. HOT.

    Raises:
        StateIncompatible: Not a state, or one of another version.
    """
    if blob[:1] not in (VERSION, ONE_STREAM):
        raise StateIncompatible(
            f"state of aggregates has version {blob[0]}, this code reads version {VERSION[0]}: "
            "restore with the release that wrote it, or start without this state"
        )
    stored = guarded(_stored, memoryview(blob)[1:])
    return State(stored.plan, stored.newest, stored.entries, stored.grouped)


def guarded(read: Callable[[Any], Any], raw: Any) -> Any:
    """Read bytes that may be damaged.

    Raises:
        StateIncompatible: They are.
    """
    try:
        return read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> StateIncompatible:
    return StateIncompatible(
        f"state of aggregates is damaged ({error}): restore another checkpoint"
    )
