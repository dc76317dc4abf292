"""Every function over every window on `traffic`, and what an independent program makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.e2e.admission import admitted
from tests.e2e.traffic import Logged
from tests.udfs.aggregation.brute import brute, close
from tests.udfs.aggregation.specs import FUNCTIONS, spec

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


def expected(log: Sequence[Logged], every: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the values at some payments: id of the event, and name to value.

    Args:
        log: The records.
        every: Only one of so many payments: by the definition each costs a lot.
    """
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    payments = 0
    for event, now, late in admitted(log):
        own = seen[event["user_id"]]
        own.append(event)
        if not late and event["event_type"] == "pay":
            payments += 1
            if payments % every == 0:
                at = max(now, *(one["event_time"] for one in own))
                yield event["event_id"], values(own, at)


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
