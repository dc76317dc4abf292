"""How the benchmarks tell a job's progress from its decisions."""

from __future__ import annotations

import json

import pytest

from benchmarks.cores import Whole, make_batches
from benchmarks.progress import Curve
from benchmarks.threads import per_event
from benchmarks.workload import Traffic, partition_of
from udfs.events.codec import decode


def decision(*ids: str) -> bytes:
    """Give a decision that these events have triggered."""
    return json.dumps({"flow": "f", "trigger": {"kind": "rule", "event_ids": ids}}).encode()


def test_rate_is_the_slope_between_two_parts_of_the_log() -> None:
    """Two partitions at 1,000 events/s each, after a slow start."""
    curve = Curve([10_000, 10_000])
    for sequence in range(0, 10_000, 100):
        at_ms = 50_000 + max(sequence, 500)
        curve.add(at_ms, decision("0-1", f"0-{sequence}"))
        curve.add(at_ms, decision("1-1", f"1-{sequence}"))
    assert curve.rate(0.1, 0.9) == pytest.approx(2_000, rel=0.02)


def test_order_of_reading_does_not_matter() -> None:
    """Decisions lie in several partitions and are read one partition after the other."""
    decisions = [(sequence, f"0-{sequence}") for sequence in range(0, 10_000, 50)]
    rates = []
    for order in (decisions, decisions[::-1], decisions[1::2] + decisions[::2]):
        curve = Curve([10_000])
        for at_ms, name in order:
            curve.add(at_ms, decision(name))
        rates.append(curve.rate(0.1, 0.9))
    assert rates[0] == rates[1] == rates[2] == pytest.approx(1_000, rel=0.02)


def test_a_log_has_ended_when_every_partition_has() -> None:
    """One partition that is behind is waited for."""
    curve = Curve([10_000, 10_000])
    curve.add(1, decision("0-9900"))
    assert not curve.ended
    curve.add(2, decision("1-7500"))
    assert curve.ended


def test_repeats_are_one_match() -> None:
    """At-least-once may write a decision twice; the very end of the log is not compared."""
    curve = Curve([10_000])
    for ids in (("0-1", "0-2"), ("0-1", "0-2"), ("0-1", "0-9999")):
        curve.add(1, decision(*ids))
    assert curve.matches == {("0-1", "0-2")}
    assert curve.decisions == 3


def test_events_name_their_place_in_the_log() -> None:
    """Ids are partition and sequence; events are valid and about 200 bytes long."""
    sequences = dict.fromkeys(range(4), 0)
    for record in Traffic(users=50).log(500, 1_700_000_000_000):
        event = decode(record.value)
        assert event.user_id.encode() == record.key
        assert record.partition == partition_of(event.user_id)
        assert event.event_id == f"{record.partition}-{sequences[record.partition]}"
        sequences[record.partition] += 1
        assert 180 < len(record.value) < 260


def test_the_workload_decides_on_about_one_percent() -> None:
    """What the benchmark promises about its rule."""
    batches = make_batches(40_000)
    shards = Whole(2_000)
    for batch in batches[: len(batches) // 2]:
        shards.run(batch)
    before = shards.decisions
    for batch in batches[len(batches) // 2 :]:
        shards.run(batch)
    events = sum(len(batch.values) for batch in batches[len(batches) // 2 :])
    assert 0.005 < (shards.decisions - before) / events < 0.02


def test_cpu_is_told_by_kind_of_thread() -> None:
    """Threads of one kind are added up, what was spent before does not count."""
    before = {"GC Thread#0/7": 1.0, "decide (1/1)#0/9": 2.0}
    after = {"GC Thread#0/7": 1.5, "GC Thread#1/8": 0.5, "decide (1/1)#0/9": 4.0, "other/10": 0.0}
    found = per_event(before, after, 1_000_000)
    assert found == {"decide (Python)": 2.0, "garbage collection": 1.0}
