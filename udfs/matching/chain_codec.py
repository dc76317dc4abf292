"""What is kept of a user's chains as bytes, and its way to another rule set.

A section is a MessagePack array, the fields of `Section`. Bits, floors and positions hold for
the very rule set that wrote them (``digest``), and for those that go back to it (`inherit`). For
any other the events are looked at again, and the runs are worked out anew for each rule that both
sets have (`taken_over`).
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.matching import tracks
from udfs.matching.chain_state import Chains, Named, Section
from udfs.matching.chains import name_of
from udfs.matching.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from udfs.matching.chains import Ancestor, ChainIndex
    from udfs.matching.runs import Entry

_FULL_FROM: Final = 4
"""One in so many chains must have a run for all of them to be named: that is quicker."""

_EACH: Final = 9
"""Bytes of a chain in `Section.rules`."""

_FEW: Final = 16
"""Bytes of `Section.places` for every position, from which all are named anew."""


def encode(
    index: ChainIndex, chains: Chains
) -> tuple[tuple[object, ...], tuple[bytes | memoryview, ...]]:
    """Give the fields of a section, and what comes behind. HOT.

    Args:
        index: The chains of the machine.
        chains: What is kept of a user.
    """
    waiting = chains.waiting
    named = chains.named
    if named is None or waiting & ~named.bits:
        named = chains.named = _naming(index, waiting, named)
    cap = chains.cap
    stored = chains.tracks.pack()
    section = (
        index.digest, _bytes(waiting), _bytes(chains.eager), chains.check_at, chains.newest,
        chains.count, chains.room, None if cap == math.inf else int(cap), chains.pack_floors(),
        _bytes(named.bits), named.rules, named.places, stored.directory, len(stored.rows),
        stored.logged,
    )  # fmt: skip
    return section, (stored.rows, stored.log)


def decode(index: ChainIndex, section: Section, tail: memoryview) -> Chains:
    """Read a section as the rule set meant it that wrote it. HOT.

    Args:
        index: The chains of the machine, or of one that goes back to that set.
        section: As stored.
        tail: What came behind.
    """
    chains = Chains(Tracks(index.widths, _events(section, tail)), section.floors)
    chains.waiting = int.from_bytes(section.waiting, "little")
    chains.eager = int.from_bytes(section.eager, "little")
    chains.check_at, chains.newest = section.check_at, section.newest
    chains.count, chains.room = section.count, section.room
    chains.cap = math.inf if section.cap is None else section.cap
    named = int.from_bytes(section.named, "little")
    chains.named = Named(named, section.rules, section.places)
    return chains


def inherit(index: ChainIndex, chains: Chains, ancestor: Ancestor, newest: int) -> int:
    """Take over what an older rule set has kept.

    Args:
        index: The chains of the machine.
        chains: As that set meant it; changed in place.
        ancestor: How to go on with it.
        newest: Order of the newest event.

    Returns:
        How many runs, at least, are dropped because their rule is not known.
    """
    gone = chains.waiting & ~ancestor.kept
    for chain in ancestor.left:
        gone &= ~chain.bits
    chains.waiting &= ancestor.kept
    chains.eager &= ancestor.kept
    chains.named = None
    known = index.chains
    chains.floors = {
        number: floor for number, floor in chains.floors.items() if number in known
    } | dict.fromkeys(ancestor.new, newest)  # a new chain looks at no event from before it
    index.fit(chains)
    return gone.bit_count()


def _events(section: Section, tail: memoryview) -> tracks.Stored:
    end = section.rows_bytes
    return tracks.Stored(section.directory, tail[:end], section.logged, tail[end:])


class Stored(msgspec.Struct):
    """A chain as another rule set kept it.

    Args:
        structure_hash: Of the rule.
        floor: No run that began with this order or an earlier one is alive.
        waiting: How many positions have runs.
        eager: Whether its runs are kept one by one.
    """

    structure_hash: bytes
    floor: int
    waiting: int
    eager: bool


def stored(section: Section) -> Iterator[Stored]:
    """Give the chains of a section that may have runs."""
    waiting = int.from_bytes(section.waiting, "little")
    eager = int.from_bytes(section.eager, "little")
    numbers = iter(array("q", bytes(section.floors)))
    floors = dict(zip(numbers, numbers, strict=True))
    places = array("I", bytes(section.places))
    for at, first in zip(range(0, len(section.rules), _EACH), places, strict=True):
        bits = ((1 << section.rules[at + _EACH - 1]) - 1) << first
        yield Stored(
            bytes(section.rules[at : at + _EACH - 1]),
            floors.get(first, -1),
            (waiting & bits).bit_count(),
            bool(eager & bits),
        )


def taken_over(
    index: ChainIndex | None,
    section: Section,
    tail: memoryview,
    now: int,
    others: Callable[[Stored, list[Entry]], None],
) -> Chains | None:
    """Give what another rule set has kept, for this one.

    Args:
        index: The chains of this machine, None if it has none.
        section: As stored.
        tail: What came behind.
        now: Rule time of the newest event, ms.
        others: Gets the chains that are none here, with the events.
    """
    entries = tracks.read(_events(section, tail))
    known = {} if index is None else index.by_hash
    found = []
    for chain in stored(section):
        number = known.get(chain.structure_hash)
        if number is None or chain.eager:
            others(chain, entries)
        else:
            found.append((number, chain))
    if index is None:
        return None
    chains = index.nothing()
    newest = entries[-1].order if entries else -1
    chains.floors = dict.fromkeys(index.chains, newest)
    for number, chain in found:
        chains.floors[number] = chain.floor
        chains.waiting |= index.chains[number].bits
    for entry in entries:
        index.remember(chains, entry)
    index.tidy(chains, now)
    return chains if chains.waiting else None


def _naming(index: ChainIndex, waiting: int, before: Named | None) -> Named:
    """Name the chains that may have a run.

    Args:
        index: The chains of the machine.
        waiting: Positions at which a run may wait.
        before: How they were named; those that are not named yet are added.
    """
    if waiting.bit_count() * _FULL_FROM > len(index.chains):
        return Named(index.all_bits, index.names, index.places)
    bits, rules, places = 0, bytearray(), array("I")
    if before is not None and len(before.places) < _FEW * waiting.bit_count():
        bits = before.bits
        rules += before.rules
        places.frombytes(before.places)
    for number in index.numbers_of(waiting & ~bits):
        chain = index.chains[number]
        bits |= chain.bits
        rules += name_of(chain)
        places.append(number)
    return Named(bits, bytes(rules), places.tobytes())


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
