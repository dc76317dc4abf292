"""What is kept of a user's chains as bytes, and its way to another rule set.

A section is a MessagePack array, the fields of `Section`. Bits, floors and positions hold for
the very rule set that wrote them (``digest``). For another one the events are looked at again,
and the runs are worked out anew for each rule that both sets have.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching import tracks
from udfs.matching.chain_state import Chains, Named
from udfs.matching.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from udfs.matching.chains import ChainIndex
    from udfs.matching.runs import Entry

_FULL_FROM: Final = 4
"""One in so many chains must have a run for all of them to be named: that is quicker."""

_EACH: Final = 9
"""Bytes of a chain in `Section.rules`."""

_FEW: Final = 32
"""Bytes of `Section.places` for every position, from which all are named anew."""


class Section(msgspec.Struct, array_like=True, gc=False):
    """The stored form.

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
        places: For each of those number and first position, uint32; none if they are all.
        directory: See `udfs.matching.tracks.Tracks`.
        rows: Likewise.
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
    rows: memoryview


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Section)


def encode(index: ChainIndex, chains: Chains) -> bytes:
    """Write a section. HOT.

    Args:
        index: The chains of the machine.
        chains: What is kept of a user.
    """
    waiting = chains.waiting
    named = chains.named
    if named is None or waiting & ~named.bits:
        named = chains.named = _naming(index, waiting, named)
    cap = chains.cap
    return _ENCODER.encode(
        (index.digest, _bytes(waiting), _bytes(chains.eager), chains.check_at, chains.newest,
         chains.count, chains.room, None if cap == math.inf else cap, chains.pack_floors(),
         _bytes(named.bits), named.rules, named.places, *chains.tracks.pack())
    )  # fmt: skip


def decode(index: ChainIndex | None, section: Section) -> Chains | None:
    """Read a section. HOT.

    Args:
        index: The chains of the machine, None if it has none.
        section: As stored.

    Returns:
        What is kept of the user; None if another rule set wrote it.
    """
    if index is None or section.digest != index.digest:
        return None
    chains = Chains(Tracks(index.widths, section.directory, section.rows), section.floors)
    chains.waiting = int.from_bytes(section.waiting, "little")
    chains.eager = int.from_bytes(section.eager, "little")
    chains.check_at, chains.newest = section.check_at, section.newest
    chains.count, chains.room = section.count, section.room
    chains.cap = math.inf if section.cap is None else section.cap
    named = int.from_bytes(section.named, "little")
    chains.named = Named(named, section.rules, section.places)
    return chains


def parse(blob: bytes | memoryview) -> Section:
    """Read the fields.

    Raises:
        StateIncompatible: They are not what `encode` writes.
    """
    try:
        return _DECODER.decode(blob)
    except msgspec.DecodeError as error:
        raise StateIncompatible(
            f"{len(blob)} bytes of runs are broken ({error!r}): restore an older savepoint"
        ) from error


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
    base = 0
    for place in range(len(section.rules) // _EACH):
        at = place * _EACH
        count = section.rules[at + _EACH - 1]
        number = place
        if places:
            number, base = places[2 * place : 2 * place + 2]
        bits = ((1 << count) - 1) << base
        yield Stored(
            bytes(section.rules[at : at + _EACH - 1]),
            floors.get(number, -1),
            (waiting & bits).bit_count(),
            bool(eager & bits),
        )
        base += count


def taken_over(
    index: ChainIndex | None,
    section: Section,
    now: int,
    others: Callable[[Stored, list[Entry]], None],
) -> Chains | None:
    """Give what another rule set has kept, for this one.

    Args:
        index: The chains of this machine, None if it has none.
        section: As stored.
        now: Rule time of the newest event, ms.
        others: Gets the chains that are none here, with the events.
    """
    entries = tracks.read(section.directory, section.rows)
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
    chains.floors = dict.fromkeys(range(len(index.chains)), newest)
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
        return Named(index.all_bits, index.names, b"")
    bits, rules, places = 0, bytearray(), array("I")
    if before is not None and before.places and len(before.places) < _FEW * waiting.bit_count():
        bits = before.bits
        rules += before.rules
        places.frombytes(before.places)
    for number in index.numbers_of(waiting & ~bits):
        chain = index.chains[number]
        bits |= chain.bits
        rules += index.names[number * _EACH : (number + 1) * _EACH]
        places.extend((number, (chain.bits & -chain.bits).bit_length() - 1))
    return Named(bits, bytes(rules), places.tobytes())


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
