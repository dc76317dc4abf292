"""What all benchmarks process: a log of shop events, and a manifest that decides on about 1 %.

The same log is read by our job and by the Flink CEP job. Event ids are ``partition-sequence``,
so that a decision tells by itself how far its job has come.
"""

from __future__ import annotations

import bisect
import itertools
import json
import random
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

USERS: Final = 10_000
PARTITIONS: Final = 4

SPACING_MS: Final = 1
"""Between two events of a pre-filled log: 1,000 events a second, one of a user every 10 s."""

WITHIN_MINUTES: Final = 10

_MIX: Final = (
    ("item_view", 50.0),
    ("click", 20.0),
    ("page_enter", 15.4),
    ("add_to_cart", 13.0),
    ("pay", 1.6),
)
_KINDS: Final = [kind for kind, _ in _MIX]
_BOUNDS: Final = list(itertools.accumulate(share for _, share in _MIX))
_SEED: Final = 20_26

RULES: Final[list[dict[str, Any]]] = [
    {
        "rule": "bought",
        "version": 1,
        "pattern": [
            {"step": "view", "event": "item_view", "where": "props.price > 100.0"},
            {"step": "cart", "then": "followed_by", "event": "add_to_cart"},
            {
                "step": "pay",
                "then": "followed_by",
                "event": "pay",
                "where": "props.amount > 0.0",
            },
        ],
        "within": f"{WITHIN_MINUTES}m",
        "after_match": "skip_past_last_event",
    }
]

AGGREGATES: Final[list[dict[str, Any]]] = [
    {
        "aggregate": "views_1h",
        "event": "item_view",
        "function": "count",
        "window": {"sliding": "1h"},
    },
    {"aggregate": "spent", "event": "pay", "value": "props.amount", "function": "sum"},
    {
        "aggregate": "last_sku",
        "event": ["item_view", "add_to_cart"],
        "value": "props.sku",
        "function": "last",
    },
]

FLOWS: Final[list[dict[str, Any]]] = [
    {
        "flow": "thanks",
        "version": 1,
        "trigger": {"rule": "bought"},
        "features": ["views_1h", "spent", "last_sku"],
        "logic": [{"let": "loyal", "be": "f['spent'] > 500.0"}],
        "action": {
            "when": "f['views_1h'] > 0",
            "payload": {"sku": "view[0].props.sku", "loyal": "loyal", "spent": "f['spent']"},
        },
    }
]


def parts() -> dict[str, list[dict[str, Any]]]:
    """Give the parts of the manifest."""
    return {"rules": RULES, "aggregates": AGGREGATES, "flows": FLOWS}


def manifest(revision: int = 1) -> str:
    """Give the manifest as it is published."""
    return json.dumps({"schema": 1, "revision": revision, "activate_at": None, **parts()})


class Log(NamedTuple):
    """One record of the log.

    Args:
        partition: Where it goes.
        key: The user.
        value: The event, about 200 bytes of JSON.
    """

    partition: int
    key: bytes
    value: bytes


def partition_of(user: str) -> int:
    """Give the partition of a user."""
    return zlib.crc32(user.encode()) % PARTITIONS


class Traffic:
    """Makes events; the same seed gives the same ones.

    Args:
        users: How many there are; all are equally busy, which leaves the fewest events of one
            user to a micro-batch.
        tag: Led before event ids, so that two runs over one topic are told apart.
        seed: Of the random numbers.
    """

    def __init__(self, users: int = USERS, tag: str = "", seed: int = _SEED) -> None:
        self._random = random.Random(seed)
        names = [f"u{number:06d}" for number in range(users)]
        self._users = [(name, name.encode(), partition_of(name)) for name in names]
        self._sequences = [0] * PARTITIONS
        self._tag = tag

    def event(self, at_ms: int) -> Log:
        """Make the next event.

        Args:
            at_ms: Its time, not before that of the one before.
        """
        draw = self._random.random
        name, key, partition = self._users[int(draw() * len(self._users))]
        kind = _KINDS[bisect.bisect_right(_BOUNDS, draw() * 100.0)]
        sequence = self._sequences[partition]
        self._sequences[partition] = sequence + 1
        sku = int(draw() * 5_000)
        amount = int(draw() * 12_500) / 100
        field = "amount" if kind == "pay" else "price"
        value = (
            f'{{"event_id":"{self._tag}{partition}-{sequence}","event_type":"{kind}",'
            f'"user_id":"{name}","event_time":{at_ms},"source":"native","app_version":"6.12.0",'
            f'"os":"android","page_id":"item_detail",'
            f'"props":{{"sku":"sku-{sku}","{field}":{amount + 0.01:.2f},"quantity":1}}}}'
        )
        return Log(partition, key, value.encode())

    def log(self, events: int, first_ms: int) -> Iterator[Log]:
        """Make a log of evenly spaced events.

        Args:
            events: How many.
            first_ms: Time of the first.
        """
        for i in range(events):
            yield self.event(first_ms + i * SPACING_MS)
