"""Aggregates in the job: values of a flow, over a savepoint and at another parallelism."""

from __future__ import annotations

import json

import pytest

from stack import Stack
from tests.e2e import aggregates, shop
from tests.e2e.plain import run_plain
from tests.e2e.running import Running
from tests.e2e.traffic import make_traffic
from udfs.decisions.shard_settings import ShardSettings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_job_equals_cores_and_definition(stack: Stack) -> None:
    """Half of the log at parallelism 1, the rest from a savepoint at 2; each value of each flow."""
    traffic = make_traffic(23, 6_000, span_ms=9_000_000, late=0.01)
    log = traffic.log
    with Running(
        stack, "aggregates", idle_advance="off", max_event_bytes=shop.MAX_EVENT_BYTES,
        delivery="exactly-once",
    ) as job:  # fmt: skip
        job.publish(aggregates.manifest())
        half = len(log) // 2
        job.produce(log[:half])
        job.start(parallelism=1)
        job.await_in(half)
        savepoint = job.stop_with_savepoint()
        job.start(savepoint=savepoint, parallelism=2)
        job.produce(log[half:], per_second=5_000)
        job.await_in(len(log))
        records = job.read("decisions")
    got = {}
    for record in records:
        decision = json.loads(record.value)
        got[decision["trigger"]["event_ids"][0]] = decision["features"]
    core = ShardSettings(idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES)
    plain, _ = run_plain(log, aggregates.PARTS, shop.REVISION, core)
    of_plain = {}
    for record in plain:
        if record.topic == "decisions":
            decision = json.loads(record.value)
            of_plain[decision["trigger"]["event_ids"][0]] = decision["features"]
    assert got == of_plain
    assert aggregates.compare(got, log, every=10) > 40
