"""Every function over every window on `traffic`, and what an independent program makes of it."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import Any

from tests.e2e import independent, shop
from tests.e2e.traffic import Logged
from tests.udfs.aggregation.brute import brute, close
from tests.udfs.aggregation.specs import FUNCTIONS, spec

MINUTE = 60_000
WINDOWS: tuple[Any, ...] = (
    "lifetime",
    {"sliding": "10m"},
    {"sliding": "1h"},
    {"sliding": "1h", "hop": "5m"},
    {"tumbling": "1d", "timezone": "Asia/Kathmandu"},
    {"tumbling": "15m"},
    {"session": "30s"},
    {"last": 5},
)
OF_TEXTS = ("first", "last_k", "sequence", "unique_count", "unique_k", "approx_unique_count",
            "histogram", "max")  # fmt: skip
TIERS = ("hot", "normal", "cold")


def specs() -> list[dict[str, Any]]:
    """Give numbers of payments, texts of what was looked at, and some of both by group."""
    made = []
    for i, function in enumerate(FUNCTIONS):
        for j, window in enumerate(WINDOWS):
            more: dict[str, Any] = {"tier": TIERS[(i + j) % 3]}
            made.append(
                spec(f"{function}_{j}", function, window, event="pay", value="props.amount", **more)
            )
            if function in OF_TEXTS:
                more |= {"event": ["view", "cart"], "value": "props.sku"}
                made.append(spec(f"{function}_sku_{j}", function, window, **more))
    for j, window in enumerate(WINDOWS):
        more = {"event": "view", "value": "props.price", "group_by": "props.sku"}
        made.append(spec(f"price_by_sku_{j}", "max", window, **more))
    return made


PARTS: dict[str, Any] = {
    "rules": [],
    "aggregates": [*specs(), {"aggregate": "derived", "derive": "double(count_2) / sum_2"},
                   {"aggregate": "unread", "function": "count"}],
    "flows": [
        {
            "flow": "values", "version": 1, "trigger": {"event": "pay"},
            "features": [*(one["aggregate"] for one in specs()), "derived"],
            "action": {"payload": {}},
        }
    ],
}  # fmt: skip


def expected(
    log: Sequence[Logged], every: int, out_of_orderness: int = 5_000, shards: int = 32
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the values at some payments: id of the event, and name to value.

    Args:
        log: The records.
        every: Only one of so many payments: by the definition each costs a lot.
        out_of_orderness: Of the job, ms.
        shards: Of the job.
    """
    newest: dict[Any, int] = defaultdict(lambda: -1)
    ids: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
    clocks: dict[str, int] = defaultdict(int)
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    payments = 0
    for key, value, partition, _ in log:
        if independent.refusal(key, value, shop.MAX_EVENT_BYTES) is not None:
            continue
        assert key is not None
        assert value is not None
        event = json.loads(value)
        user, time = event["user_id"], event["event_time"]
        clock = md5(key).digest()[0] * shards // 256, partition
        firing = newest[clock] - out_of_orderness
        newest[clock] = max(newest[clock], time)
        now = max(time, clocks[user])
        known = ids[user]
        while known and now - known[0][0] >= 10 * MINUTE:
            known.popleft()
        if any(event["event_id"] == one for _, one in known):
            continue
        if len(known) == 256:
            known.popleft()
        known.append((now, event["event_id"]))
        seen[user].append(event)
        if time < firing:
            continue
        clocks[user] = now
        if event["event_type"] == "pay":
            payments += 1
            if payments % every == 0:
                at = max(now, *(one["event_time"] for one in seen[user]))
                yield event["event_id"], values(seen[user], at)


def values(events: list[dict[str, Any]], at: int) -> dict[str, Any]:
    """Give all values by the book."""
    found = {one["aggregate"]: brute(one, events, at) for one in specs()}
    count, total = found["count_2"], found["sum_2"]
    # CEL divides doubles by zero, but not a double by an integer.
    found["derived"] = count / total if isinstance(total, float) else None
    return found


def compare(got: dict[str, dict[str, Any]], log: Sequence[Logged], every: int) -> int:
    """Compare values by event with what is expected; give how many events were compared."""
    compared = 0
    for event_id, wanted in expected(log, every):
        assert got[event_id].keys() == wanted.keys()
        for name, value in wanted.items():
            assert close(got[event_id][name], value), (event_id, name, got[event_id][name], value)
        compared += 1
    return compared
