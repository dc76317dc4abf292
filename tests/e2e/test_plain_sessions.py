"""Sessions through the cores without any server, against `stitch`."""

from __future__ import annotations

import json

import pytest

from tests.e2e import sessions, shop
from tests.e2e.plain import run_plain
from tests.e2e.traffic import make_traffic
from udfs.decisions.shard_settings import ShardSettings
from udfs.events.durations import parse_duration


@pytest.mark.parametrize("most", [1, 500])
def test_sessions_that_have_ended(most: int) -> None:
    """Late, doubled and broken records among the events; cut anywhere."""
    traffic = make_traffic(8, 3_000, span_ms=8_000_000)
    settings = ShardSettings(
        idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES, sessions=True,
        session_gap_ms=parse_duration(sessions.GAP),
        session_max_length_ms=parse_duration(sessions.MAX_LENGTH),
    )  # fmt: skip
    records, _ = run_plain(traffic.log, sessions.PARTS, 1, settings, seed=2, most=most)
    ended = [json.loads(record.value) for record in records if record.topic == "sessions"]
    assert sessions.compare(ended, traffic.log) > 100
    assert all(record.key == json.loads(record.value)["user_id"].encode()
               for record in records if record.topic == "sessions")  # fmt: skip
    decisions = [json.loads(record.value) for record in records if record.topic == "decisions"]
    assert len(decisions) > 100
    assert {one["payload"]["deep"] for one in decisions} <= {True, False}
    assert any(one["features"]["session.pages"] > 1 for one in decisions)


def test_nothing_is_sent_unless_it_is_wanted() -> None:
    """Features are there without the records."""
    traffic = make_traffic(8, 1_000)
    settings = ShardSettings(idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES)
    records, _ = run_plain(traffic.log, sessions.PARTS, 1, settings)
    assert not [record for record in records if record.topic == "sessions"]
    decisions = [json.loads(record.value) for record in records if record.topic == "decisions"]
    assert any(one["features"]["session.pages"] for one in decisions)
