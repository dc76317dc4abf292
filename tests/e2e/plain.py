"""The cores in a plain Python process, over the same log as a job."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.e2e.traffic import Logged
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.sharding import shard_of


def run_plain(
    log: Sequence[Logged],
    parts: Mapping[str, Sequence[Any]],
    revision: int,
    settings: ShardSettings,
    *,
    shards: int = 32,
    seed: int = 0,
    most: int = 2_000,
) -> tuple[list[Record], dict[str, int]]:
    """Work off a log, cut anywhere.

    Args:
        log: The records.
        parts: Rules, aggregates and flows.
        revision: Theirs.
        settings: Of the core.
        shards: How many.
        seed: Where to cut.
        most: Records from one cut to the next, at most.

    Returns:
        What goes to Kafka, and the sums of the shards' counts.
    """
    rng = random.Random(seed)
    now_ms = time.time_ns() // 1_000_000
    program = Program.compile(revision, parts, {"decisions"})
    working: dict[int, Shard] = {}
    records: list[Record] = []
    rest = iter(log)
    while piece := list(itertools.islice(rest, rng.randint(1, most))):
        batches: dict[int, list[Logged]] = {}
        for logged in piece:
            key = (logged.key or b"").decode(errors="replace")
            batches.setdefault(shard_of(key, shards), []).append(logged)
        for number, batch in batches.items():
            if number not in working:
                store = MemoryStore()
                working[number] = Shard(number, store, settings, program, now_ms)
            keys, values, partitions, offsets = zip(*batch, strict=True)
            records += working[number].process(keys, values, partitions, offsets, now_ms)
    counts: dict[str, int] = {}
    for shard in working.values():
        for name, count in shard._counts.items():
            counts[name] = counts.get(name, 0) + count
    return records, counts
