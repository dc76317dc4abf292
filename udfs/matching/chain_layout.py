"""Which bit stands for what: the positions of chains, and the predicates of each kind of event.

What is kept of a user are bits, so a changed rule set should change as few of them as it can: a
rule that stays has its positions, a condition that somebody still asks its number. What has
become free is used again. That is no harm, for a new rule looks at no event that came before
it. Once too much lies idle, or a condition finds no room, all is laid out anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

Key: TypeAlias = tuple[tuple[str, ...] | None, str | None]
"""A predicate: event types, sorted, None for all; and the text of its condition."""

VERSION: Final = 1

_IDLE: Final = 1_024
"""Positions that may lie idle besides three times as many as are in use."""


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """A layout, as jobs keep it to find their state again.

    Args:
        chains: First position and number of positions, by structure hash.
        kinds: Event types that have a track, and None for the track of all others.
        predicates: By kind: what each bit stands for, None for nothing.
        widths: By kind: bytes that the bits take.
    """

    chains: dict[bytes, tuple[int, int]] = {}
    kinds: tuple[str | None, ...] = ()
    predicates: tuple[tuple[Key | None, ...], ...] = ()
    widths: tuple[int, ...] = ()

    def dump(self) -> bytes:
        """Give what a job keeps: a version byte, then MessagePack."""
        return bytes([VERSION]) + msgspec.msgpack.encode(self)

    @classmethod
    def load(cls, blob: bytes) -> Layout | None:
        """Read what `dump` gave; None for another version: it only saves work to have it."""
        if blob[:1] != bytes([VERSION]):
            return None
        return msgspec.msgpack.decode(blob[1:], type=cls)

    def digest(self) -> bytes:
        """Give 8 bytes that are different for another layout."""
        rows = (sorted(self.chains.items()), self.kinds, self.predicates, self.widths)
        return hashlib.sha256(msgspec.msgpack.encode(rows)).digest()[:8]


def lay_out(
    chains: Mapping[bytes, int], keys: Sequence[Key], before: Layout | None = None
) -> tuple[Layout, bool]:
    """Lay out a rule set.

    Args:
        chains: Number of positions, by structure hash.
        keys: The predicates of the chains, each once.
        before: The layout of the set before, to be kept as far as possible.

    Returns:
        The layout, and whether what both sets have is where it was.
    """
    changed = None if before is None else _changed(chains, keys, before)
    if changed is not None:
        return changed, True
    anew = _changed(chains, keys, Layout())
    assert anew is not None
    return anew, False


def _changed(chains: Mapping[bytes, int], keys: Sequence[Key], before: Layout) -> Layout | None:
    """Give a layout that keeps what it can; None if it is better not to."""
    positions = _positions(chains, before)
    if before.chains:
        end = max(first + count for first, count in positions.values())
        if end > 4 * sum(chains.values()) + _IDLE:
            return None
    named = {name for types, _ in keys for name in types or ()}
    kinds = [*before.kinds, *sorted(named.difference(before.kinds))]
    if None not in kinds and any(types is None for types, _ in keys):
        kinds.append(None)
    wanted: dict[str | None, list[Key]] = {kind: [] for kind in kinds}
    for key in keys:
        for name in kinds if key[0] is None else key[0]:
            wanted[name].append(key)
    predicates, widths = [], []
    for number, kind in enumerate(kinds):
        bits: list[Key | None] = list(wanted[kind])
        width = 0
        if number < len(before.kinds):
            bits = _numbered(wanted[kind], before.predicates[number])
            width = before.widths[number]
        if len(bits) > 8 * width:
            width = (len(bits) * 5 // 4 + 8) // 8
        predicates.append(tuple(bits))
        widths.append(width)
    return Layout(positions, tuple(kinds), tuple(predicates), tuple(widths))


def _positions(chains: Mapping[bytes, int], before: Layout) -> dict[bytes, tuple[int, int]]:
    found = {}
    free: dict[int, list[int]] = {}
    end = 0
    for name, (first, count) in before.chains.items():
        end = max(end, first + count)
        if chains.get(name) == count:
            found[name] = (first, count)
        else:
            free.setdefault(count, []).append(first)
    for name, count in chains.items():
        if name not in found:
            if free.get(count):
                found[name] = (free[count].pop(), count)
            else:
                found[name] = (end, count)
                end += count
    return found


def _numbered(wanted: Sequence[Key], before: Sequence[Key | None]) -> list[Key | None]:
    """Give what each bit stands for: as before, or something new where nothing is."""
    left = dict.fromkeys(wanted)
    bits = [key if key in left else None for key in before]
    for key in bits:
        left.pop(key, None)  # type: ignore[arg-type]
    new = list(left)
    for place, key in enumerate(bits):
        if key is None and new:
            bits[place] = new.pop()
    return [*bits, *new]
