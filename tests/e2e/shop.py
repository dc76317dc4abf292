"""Rules, aggregates and flows over `traffic`, as `independent` knows them by heart."""

from __future__ import annotations

import json
from typing import Any

REVISION = 7
OUT_OF_ORDERNESS_MS = 5_000
MAX_EVENT_BYTES = 4_096

PARTS: dict[str, list[dict[str, Any]]] = {
    "rules": [
        {
            "rule": "bought", "version": 2, "within": "10m",
            "pattern": [
                {"step": "view", "event": "view", "where": "props.price > 50.0"},
                {"step": "cart", "event": "cart", "where": "props.sku == view[0].props.sku"},
                {"step": "pay", "event": "pay", "where": "props.amount >= cart[0].props.price"},
            ],
        },
        {
            "rule": "keen", "version": 1, "within": "2m", "after_match": "skip_past_last_event",
            "pattern": [{"step": "clicks", "event": ["click", "page"], "times": 3}],
        },
        {
            "rule": "left", "version": 5, "within": "5m",
            "pattern": [
                {"step": "cart", "event": "cart"},
                {"step": "pay", "event": "pay", "then": "not_followed_by"},
            ],
        },
    ],
    "aggregates": [
        {"aggregate": "pays_1h", "event": "pay", "function": "count", "window": {"sliding": "1h"}},
        {"aggregate": "spend_30m", "event": ["pay", "renew"], "where": "props.amount > 0.0",
         "value": "props.amount", "function": "sum", "window": {"sliding": "30m"}},
        {"aggregate": "last_sku_1h", "event": ["view", "cart"], "value": "props.sku",
         "function": "last", "window": {"sliding": "1h"}},
    ],
    "flows": [
        {
            "flow": "thank", "version": 1, "trigger": {"rule": "bought"},
            "limit": {"per_user": "3/10m"}, "features": ["pays_1h", "spend_30m"],
            "logic": [{"let": "big", "be": "f['spend_30m'] > 100.0"}],
            "action": {"payload": {"sku": "cart[0].props.sku", "paid": "pay[0].props.amount",
                                   "big": "big"}},
        },
        {
            "flow": "suggest", "version": 1, "trigger": {"rule": "keen"},
            "features": ["last_sku_1h"],
            "action": {"payload": {"n": "size(clicks)", "sku": "f['last_sku_1h']"}},
        },
        {
            "flow": "remind", "version": 3, "trigger": {"rule": "left"},
            "limit": {"per_user": "1/20m"}, "features": ["spend_30m"],
            "action": {"when": "cart[0].props.price > 20.0",
                       "payload": {"sku": "cart[0].props.sku"}},
        },
        {
            "flow": "reward", "version": 9,
            "trigger": {"event": "pay", "where": "props.amount > 30.0"},
            "limit": {"per_user": "2/1h"}, "features": ["pays_1h", "spend_30m"],
            "action": {"when": "f['pays_1h'] >= 2 && f['spend_30m'] > 60.0",
                       "payload": {"at": "at"}},
        },
    ],
}  # fmt: skip


def manifest(revision: int = REVISION, **parts: list[dict[str, Any]]) -> str:
    """Give the text to publish; `parts` take the place of those above."""
    return json.dumps({"schema": 1, "revision": revision, **PARTS, **parts})
