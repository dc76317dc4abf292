"""Aggregates and sessions in the job: over a savepoint, and at another parallelism."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from configs.objects import ObjectStore
from configs.pack import pack
from stack import Stack
from tests.e2e import aggregates, sessions, shop
from tests.e2e.plain import run_plain
from tests.e2e.running import Running
from tests.e2e.traffic import make_traffic
from udfs.decisions.records import Record
from udfs.decisions.shard_settings import ShardSettings
from udfs.events.durations import parse_duration

PARTS = aggregates.PARTS | {"flows": [*aggregates.PARTS["flows"], *sessions.PARTS["flows"]]}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_job_equals_cores_and_definition(stack: Stack) -> None:
    """Half of the log at parallelism 1, the rest from a savepoint at 2.

    Each value of each flow, and each session that has ended.
    """
    traffic = make_traffic(23, 6_000, span_ms=9_000_000, late=0.01)
    log = traffic.log
    with Running(
        stack, "aggregates", idle_advance="off", max_event_bytes=shop.MAX_EVENT_BYTES,
        delivery="exactly-once", sessions="on", session_gap=sessions.GAP,
        session_max_length=sessions.MAX_LENGTH,
    ) as job:  # fmt: skip
        text = json.dumps({"schema": 1, "revision": shop.REVISION, **PARTS})
        job.publish(pack(text, ObjectStore(stack.object_store.as_uri())))
        half = len(log) // 2
        job.produce(log[:half])
        job.start(parallelism=1)
        job.await_in(half)
        savepoint = job.stop_with_savepoint()
        job.start(savepoint=savepoint, parallelism=2)
        job.produce(log[half:], per_second=5_000)
        job.await_in(len(log))
        decided, ended = job.read("decisions"), job.read("sessions")
    core = ShardSettings(
        idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES, sessions=True,
        session_gap_ms=parse_duration(sessions.GAP),
        session_max_length_ms=parse_duration(sessions.MAX_LENGTH),
    )  # fmt: skip
    plain, _ = run_plain(log, PARTS, shop.REVISION, core)
    of_job = _features(decided)
    assert of_job == _features([record for record in plain if record.topic == "decisions"])
    values = {event: found for (flow, event), found in of_job.items() if flow == "values"}
    assert aggregates.compare(values, log, every=10) > 40
    assert sessions.compare([json.loads(record.value) for record in ended], log) > 200


def _features(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, Any]]:
    """Give what flows have read, by flow and triggering event."""
    found = {}
    for record in records:
        decision = json.loads(record.value)
        found[decision["flow"], decision["trigger"]["event_ids"][0]] = decision["features"]
    assert len(found) == len(records)
    return found
