"""What is kept of a user's chains as bytes, and its way to another rule set.

A section is a MessagePack array, the fields of `Section`. Bits, floors and positions hold for
the very rule set that wrote them (``digest``). For another one the events are looked at again,
and the runs are worked out anew for each rule that both sets have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from udfs.errors import StateIncompatible
from udfs.matching.chains import ChainIndex, Chains
from udfs.matching.tracks import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from udfs.matching.runs import Entry

_FULL_FROM: Final = 4
"""One in so many chains must have a run for all of them to be named: that is quicker."""

_EACH: Final = 9
"""Bytes of a chain in `Section.rules`."""


class Section(msgspec.Struct, array_like=True, gc=False):
    """The stored form.

    Args:
        digest: Of the chains that wrote it.
        waiting: Positions at which a run may wait, little-endian bits.
        eager: Positions of chains whose runs are kept one by one.
        check_at: When to look for events that nobody needs any more, ms.
        newest: Rule time of the newest event, ms.
        floors: Two integers for every floor: number of the chain, order.
        rules: For every chain that may have a run: structure hash, number of positions.
        places: Two integers for each of those: number, first position; None if they are all.
        tracks: By type, None for those that no rule names: how many events, and their rows.
    """

    digest: bytes
    waiting: bytes
    eager: bytes
    check_at: int
    newest: int
    floors: list[int]
    rules: bytes
    places: list[int] | None
    tracks: list[tuple[str | None, int, bytes]]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Section)


def encode(index: ChainIndex, chains: Chains) -> bytes:
    """Write a section. HOT.

    Args:
        index: The chains of the machine.
        chains: What is kept of a user.
    """
    waiting = chains.waiting
    rules, places = index.names, None
    if waiting.bit_count() * _FULL_FROM < len(index.chains):
        rules, places = _named(index, waiting)
    floors: list[int] = []
    for floor in chains.floors.items():
        floors += floor
    return _ENCODER.encode(
        Section(
            index.digest, _bytes(waiting), _bytes(chains.eager), chains.check_at, chains.newest,
            floors, rules, places,
            [(kind, *track.pack()) for kind, track in chains.tracks.items()],
        )
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
    chains = Chains()
    chains.waiting = int.from_bytes(section.waiting, "little")
    chains.eager = int.from_bytes(section.eager, "little")
    chains.check_at, chains.newest = section.check_at, section.newest
    floors = section.floors
    chains.floors = dict(zip(floors[::2], floors[1::2], strict=True))
    for kind, count, rows in section.tracks:
        chains.tracks[kind] = Track(rows, count)
        chains.count += count
    index.fit(chains)
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
    floors = dict(zip(section.floors[::2], section.floors[1::2], strict=True))
    base = 0
    for place in range(len(section.rules) // _EACH):
        at = place * _EACH
        count = section.rules[at + _EACH - 1]
        number = place
        if section.places is not None:
            number, base = section.places[2 * place : 2 * place + 2]
        bits = ((1 << count) - 1) << base
        yield Stored(
            section.rules[at : at + _EACH - 1],
            floors.get(number, -1),
            (waiting & bits).bit_count(),
            bool(eager & bits),
        )
        base += count


def events(section: Section) -> list[Entry]:
    """Give the events of a section, oldest first."""
    found: dict[int, Entry] = {}
    for _, count, rows in section.tracks:
        track = Track(rows, count)
        track.open()
        found.update(zip(track.orders, track.entries, strict=True))
    return [found[order] for order in sorted(found)]


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
    entries = events(section)
    known = {} if index is None else index.by_hash
    chains = Chains()
    found = []
    for chain in stored(section):
        number = known.get(chain.structure_hash)
        if number is None or chain.eager:
            others(chain, entries)
        else:
            found.append((number, chain))
    if index is None:
        return None
    newest = entries[-1].order if entries else -1
    chains.floors = dict.fromkeys(range(len(index.chains)), newest)
    for number, chain in found:
        chains.floors[number] = chain.floor
    for entry in entries:
        index.remember(chains, entry)
    for number, _ in found:
        chains.waiting |= index.positions(chains, number, now)
    index.fit(chains)
    return chains if chains.waiting else None


def _named(index: ChainIndex, waiting: int) -> tuple[bytes, list[int]]:
    """Name the chains that may have a run."""
    rules = b""
    places: list[int] = []
    while waiting:
        number = index.chain_at((waiting & -waiting).bit_length() - 1)
        chain = index.chains[number]
        waiting &= ~chain.bits
        rules += index.names[number * _EACH : (number + 1) * _EACH]
        places += (number, (chain.bits & -chain.bits).bit_length() - 1)
    return rules, places


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
