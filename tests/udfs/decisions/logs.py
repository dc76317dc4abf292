"""Programs and logs for tests of the shard."""

from __future__ import annotations

import functools
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hypothesis.strategies as st

from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.expressions import CodeCache

_CODE = CodeCache()
"""Programs are compiled thousands of times here; the expressions once."""

START_MS = 1_700_000_000_000

PARTS: dict[str, list[Any]] = {
    "rules": [
        {
            "rule": "bought",
            "version": 1,
            "pattern": [
                {"step": "view", "event": "view", "where": "props.price > 10.0"},
                {"step": "pay", "then": "followed_by", "event": "pay",
                 "where": "props.sku == last(view).props.sku"},
            ],
            "within": "20s",
        },
        {
            "rule": "abandoned",
            "version": 2,
            "pattern": [
                {"step": "cart", "event": "cart"},
                {"step": "pay", "then": "not_followed_by", "event": "pay"},
            ],
            "within": "5s",
            "after_match": "skip_past_last_event",
        },
    ],
    "aggregates": [
        {"aggregate": "views_10s", "event": "view", "function": "count",
         "window": {"sliding": "10s"}},
        {"aggregate": "paid", "event": "pay", "value": "props.price", "function": "sum"},
        {"aggregate": "last_sku", "event": "view", "value": "props.sku", "function": "last",
         "window": {"sliding": "30s"}},
    ],
    "flows": [
        {"flow": "thanks", "version": 1, "trigger": {"rule": "bought"},
         "features": ["views_10s", "paid", "last_sku"],
         "action": {"payload": {"sku": "pay[0].props.sku", "views": "f['views_10s']"}}},
        {"flow": "remind", "version": 3, "trigger": {"rule": "abandoned"},
         "limit": {"per_user": "1/10s"}, "features": ["views_10s"],
         "logic": [{"let": "busy", "be": "f['views_10s'] > 1"}],
         "action": {"payload": {"busy": "busy", "at": "at"}}},
        {"flow": "big", "version": 1,
         "trigger": {"event": ["pay"], "where": "props.price >= 20.0"}, "features": ["paid"],
         "action": {"when": "f['paid'] > 30.0", "payload": {"paid": "f['paid']"}}},
    ],
}  # fmt: skip


class Arrived(NamedTuple):
    """One Kafka record."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int


def program(revision: int = 1, parts: dict[str, list[Any]] | None = None) -> Program:
    """Compile the program of these tests, or give the one compiled before."""
    return Program.compile(revision, parts, {"decisions"}) if parts else _program(revision)


@functools.cache
def _program(revision: int) -> Program:
    return Program.compile(revision, PARTS, {"decisions"}, _CODE)


def record(
    number: int, user: str, kind: str, at_ms: int, *, partition: int = 0, offset: int | None = None,
    event_id: str | None = None, **props: Any,
) -> Arrived:  # fmt: skip
    """Make a record of a good event."""
    event = {
        "event_id": event_id or f"e{number}",
        "event_type": kind,
        "user_id": user,
        "event_time": START_MS + at_ms,
        "props": props,
    }
    return Arrived(
        user.encode(), json.dumps(event).encode(), partition, number if offset is None else offset
    )


@st.composite
def logs(draw: st.DrawFn) -> list[Arrived]:
    """A log of few users in two partitions: out of order, late, doubled and broken records."""
    length = draw(st.integers(1, 40))
    clock = 0
    found: list[Arrived] = []
    for number in range(length):
        clock += draw(st.sampled_from((0, 1, 300, 900, 4_000, 30_000)))
        user = draw(st.sampled_from("abcde"))
        partition = 0 if user < "d" else 1
        fate = draw(st.integers(0, 19))
        if fate == 0:
            found.append(Arrived(user.encode(), b"{", partition, number))
        elif fate == 1 and found:
            twin = draw(st.sampled_from(found))
            found.append(twin._replace(offset=number))
        else:
            behind = draw(st.sampled_from((0, 0, 0, 0, 500, 1_999, 2_000, 2_001, 9_000)))
            found.append(
                record(
                    number,
                    user,
                    draw(st.sampled_from(("view", "view", "cart", "pay", "other"))),
                    max(0, clock - behind),
                    partition=partition,
                    price=draw(st.sampled_from((5.0, 15.0, 25.0))),
                    sku=draw(st.sampled_from(("x", "y"))),
                )
            )
    return found


def run(
    log: Sequence[Arrived],
    cuts: Sequence[int],
    settings: ShardSettings,
    restarts: frozenset[int] = frozenset(),
    make: Callable[[], Program] | None = None,
) -> tuple[dict[tuple[str, bytes | None], list[Record]], MemoryStore]:
    """Run a log through one shard.

    Args:
        log: Its records.
        cuts: Where batches end.
        settings: Of the core.
        restarts: Numbers of batches after which the shard is made anew from its store.
        make: Gives the program, anew after each restart.

    Returns:
        Records by topic and key without those of `control`, and the state left behind.
    """
    store = MemoryStore()
    make = make or program
    shard = Shard(0, store, settings, make(), 0)
    found: dict[tuple[str, bytes | None], list[Record]] = defaultdict(list)
    edges = [0, *sorted(set(cuts) & set(range(1, len(log)))), len(log)]
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        batch = log[start:end]
        records = shard.process(
            [r.key for r in batch], [r.value for r in batch], [r.partition for r in batch],
            [r.offset for r in batch], START_MS + 10**9,
        )  # fmt: skip
        for one in records:
            if one.topic != settings.topics.control:
                found[one.topic, one.key].append(one)
        if number in restarts:
            shard = Shard(0, store, settings, make(), 0)
    shard.flush()
    return dict(found), store


def counts_of(store: MemoryStore, settings: ShardSettings) -> dict[str, int]:
    """Read the counts out of a shard's state, but for what is told at times of its own."""
    counts = dict(Shard(0, store, settings, program(), 0)._header.counts)
    del counts["expression_errors"]
    return counts
