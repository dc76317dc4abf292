"""From when on the rules and aggregates of a shard have seen all that they need.

A rule that is younger than its window may have missed events that would have made its match
another one, or none; so may an aggregate. It is in force since the shard switched to it: everything
up to the newest event of any partition then went past it. And nobody knows what lies before the
first record of a partition, which may be newer than that record by `out_of_orderness` and no more,
or the record would have been late. Both come from the log and from where the switch happened, so
that a replay finds the same.

The stored form is MessagePack ``[version, {since: hashes}, {since: hashes}, {kept: [since,
reach]}]``: rules in force, and older versions that finish, structure hashes of 8 bytes one behind
the other, by time; and what aggregates keep, by its hash, see `udfs.aggregation.ages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from udfs.aggregation.ages import Ages as AggregateAges
from udfs.decisions.flows import Flow
from udfs.decisions.header import Clock
from udfs.decisions.program import Program
from udfs.errors import StateIncompatible
from udfs.matching import Match
from udfs.matching.ages import Ages as RuleAges

VERSION: Final = 2

BEGINNING: Final = -1
"""In force before any event came."""

_HASH_BYTES: Final = 8


class _Stored(msgspec.Struct, array_like=True):
    version: int
    since: dict[int, bytes]
    finishing: dict[int, bytes]
    kept: dict[int, tuple[int, int]] = {}


class Ages(msgspec.Struct):
    """Since when all is in force.

    Args:
        rules: Of the rules.
        aggregates: Of the aggregates.
    """

    rules: RuleAges
    aggregates: AggregateAges


class Completeness:
    """Of the rules and aggregates of one program in one shard.

    Args:
        program: Which rules and aggregates.
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
        self.ages = Ages(RuleAges(program.machine.rules), AggregateAges(program.plan))
        newest = max((clock.newest for clock in clocks.values()), default=BEGINNING)
        self.ages.rules.activate(newest, None if before is None else before.rules)
        self.ages.aggregates.activate(newest, None if before is None else before.aggregates)
        self._clocks = clocks
        self._out_of_orderness_ms = out_of_orderness_ms
        self._flows: dict[tuple[Flow, int], tuple[int, dict[str, int]]] = {}

    def of(self, match: Match, partition: int) -> int | None:
        """Give the rule time from which a match of this rule misses nothing, ms.

        Args:
            match: Of which rule and version.
            partition: Where the subject's events lie.

        Returns:
            None for a rule without a window: no time is enough for it.
        """
        found = self.ages.rules.since_and_within(match.rule, match.version)
        if found is None:
            return None
        since, within_ms = found
        return max(since, self._beginning(partition)) + within_ms

    def missing(self, flow: Flow, partition: int, at: int) -> dict[str, int] | None:
        """Give the aggregates of a flow that may have missed something. HOT.

        Args:
            flow: Whose aggregates.
            partition: Where the subject's events lie.
            at: Time of the decision, ms.

        Returns:
            By name the event time from which they miss nothing, ms; None if all are complete.
        """
        found = self._flows.get((flow, partition))
        if found is None:
            sinces = {
                name: since
                for name in flow.aggregates
                if (since := self._of_aggregate(name, partition)) is not None
            }
            found = max(sinces.values(), default=BEGINNING), sinces
            self._flows[flow, partition] = found
        if at >= found[0]:
            return None
        return {name: since for name, since in found[1].items() if at < since}

    def _of_aggregate(self, name: str, partition: int) -> int | None:
        return self.ages.aggregates.complete_since(name, self._beginning(partition))

    def _beginning(self, partition: int) -> int:
        return self._clocks[partition].first + self._out_of_orderness_ms


def encode_ages(ages: Ages) -> bytes:
    """Write ages; equal ones give equal bytes."""
    rules = ages.rules
    kept = dict(sorted(ages.aggregates.since.items()))
    return msgspec.msgpack.encode(
        _Stored(VERSION, _by_time(rules.since), _by_time(rules.finishing), kept)
    )


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
        raise StateIncompatible(
            f"the ages of a shard's rules and aggregates are damaged: {error}; restore another "
            "checkpoint"
        ) from error
    if not 1 <= stored.version <= VERSION:
        raise StateIncompatible(
            f"the ages of a shard's rules and aggregates have version {stored.version}, this code "
            f"reads up to {VERSION}: restore the savepoint with the release that wrote it"
        )
    ages = Ages(RuleAges(()), AggregateAges())
    ages.rules.since = _by_hash(stored.since)
    ages.rules.finishing = _by_hash(stored.finishing)
    ages.aggregates.since = stored.kept
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
