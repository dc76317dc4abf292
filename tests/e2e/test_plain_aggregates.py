"""Aggregates through the cores without any server, against the definition."""

from __future__ import annotations

import json

from tests.e2e import aggregates, shop
from tests.e2e.plain import run_plain
from tests.e2e.traffic import make_traffic
from udfs.decisions.shard_settings import ShardSettings


def test_every_value_of_a_flow() -> None:
    """Late, doubled and broken records among them; cut anywhere."""
    traffic = make_traffic(5, 3_000, span_ms=8_000_000)
    settings = ShardSettings(idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES)
    records, _ = run_plain(traffic.log, aggregates.PARTS, 1, settings, seed=3, most=300)
    decisions = [json.loads(record.value) for record in records if record.topic == "decisions"]
    got = {one["trigger"]["event_ids"][0]: one["features"] for one in decisions}
    assert aggregates.compare(got, traffic.log, every=2) > 100
    told = [json.loads(record.value) for record in records if record.topic == "control"]
    unread = [one["unread_aggregates"] for one in told if one["kind"] == "revision"]
    assert unread
    assert all(one == ["unread"] for one in unread)
