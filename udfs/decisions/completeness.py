"""From when on the rules of a shard have seen all that a match may need.

A rule that is younger than its window may have missed events that would have made its match
another one, or none. It is in force since the shard switched to it: everything up to the newest
event of any partition then went past it. And no rule knows what lies before the first record of a
partition, which may be newer than that record by `out_of_orderness` and no more, or the record
would have been late. Both come from the log and from where the switch happened, so that a replay
finds the same.

The stored form is MessagePack ``[version, {since: hashes}, {since: hashes}]``: rules in force, and
older versions that finish; structure hashes of 8 bytes one behind the other, by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from udfs.decisions.header import Clock
from udfs.decisions.program import Program
from udfs.errors import StateIncompatible
from udfs.matching import Match
from udfs.matching.ages import Ages

VERSION: Final = 1

BEGINNING: Final = -1
"""In force before any event came."""

_HASH_BYTES: Final = 8


class _Stored(msgspec.Struct, array_like=True):
    version: int
    since: dict[int, bytes]
    finishing: dict[int, bytes]


class Completeness:
    """Of the rules of one program in one shard.

    Args:
        program: Which rules.
        clocks: Of the shard, by partition; they go on.
        out_of_orderness_ms: How far the clock stays behind the newest event.
        before: What was in force until now; None if that is not known.
    """

    def __init__(
        self,
        program: Program,
        clocks: Mapping[int, Clock],
        out_of_orderness_ms: int,
        before: Ages | None,
    ) -> None:
        self.ages = Ages(program.machine.rules)
        newest = max((clock.newest for clock in clocks.values()), default=BEGINNING)
        self.ages.activate(newest, before)
        self._clocks = clocks
        self._out_of_orderness_ms = out_of_orderness_ms

    def of(self, match: Match, partition: int) -> int | None:
        """Give the rule time from which a match of this rule misses nothing, ms.

        Args:
            match: Of which rule and version.
            partition: Where the subject's events lie.

        Returns:
            None for a rule without a window: no time is enough for it.
        """
        found = self.ages.since_and_within(match.rule, match.version)
        if found is None:
            return None
        since, within_ms = found
        return max(since, self._clocks[partition].first + self._out_of_orderness_ms) + within_ms


def encode_ages(ages: Ages) -> bytes:
    """Write ages; equal ones give equal bytes."""
    return msgspec.msgpack.encode(_Stored(VERSION, _by_time(ages.since), _by_time(ages.finishing)))


def decode_ages(blob: bytes | None) -> Ages | None:
    """Read ages; None if none were written.

    Raises:
        StateIncompatible: Written by a later version, or damaged.
    """
    if blob is None:
        return None
    try:
        stored = msgspec.msgpack.decode(blob, type=_Stored)
    except msgspec.DecodeError as error:
        raise StateIncompatible(f"the ages of a shard's rules are damaged: {error}") from error
    if stored.version != VERSION:
        raise StateIncompatible(
            f"the ages of a shard's rules have version {stored.version}, this code reads "
            f"{VERSION}: restore the savepoint with the release that wrote it"
        )
    ages = Ages(())
    ages.since = _by_hash(stored.since)
    ages.finishing = _by_hash(stored.finishing)
    return ages


def _by_time(since: Mapping[bytes, int]) -> dict[int, bytes]:
    found: dict[int, list[bytes]] = {}
    for structure_hash, at in since.items():
        found.setdefault(at, []).append(structure_hash)
    return {at: b"".join(sorted(hashes)) for at, hashes in sorted(found.items())}


def _by_hash(stored: Mapping[int, bytes]) -> dict[bytes, int]:
    return {
        hashes[start : start + _HASH_BYTES]: at
        for at, hashes in stored.items()
        for start in range(0, len(hashes), _HASH_BYTES)
    }
