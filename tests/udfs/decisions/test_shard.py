"""A shard: order, lateness, duplicates, deadlines, and answers that no batching changes."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from tests.udfs.decisions.logs import (
    PARTS,
    START_MS,
    Arrived,
    counts_of,
    logs,
    program,
    record,
    run,
)
from udfs.decisions.killed import Killed
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.subject import Subject, decode_subject, encode_subject
from udfs.errors import StateIncompatible

SETTINGS = {
    ordering: ShardSettings(
        reorder=ordering == "event_time", out_of_orderness_ms=2_000, idle_advance_ms=None,
        dedupe_window_ms=60_000, resident_subjects=2,
    )
    for ordering in ("arrival", "event_time")
}  # fmt: skip


def process(shard: Shard, *records: Arrived, now_ms: int = START_MS + 10**9) -> list[Record]:
    """Give records as one batch."""
    return shard.process(
        [r.key for r in records], [r.value for r in records], [r.partition for r in records],
        [r.offset for r in records], now_ms,
    )  # fmt: skip


def fresh(store: MemoryStore | None = None, **settings: Any) -> Shard:
    """A shard with the program of these tests."""
    given = {"idle_advance_ms": None, "out_of_orderness_ms": 2_000, **settings}
    return Shard(0, store or MemoryStore(), ShardSettings(**given), program(), START_MS)


def ring_until_decided(shard: Shard, now: int) -> tuple[list[Record], int]:
    """Let the shard's timers ring, each at its time; the records of the first that decides."""
    for _ in range(100):
        timer = shard.next_timer(now)
        assert timer is not None
        assert timer > now
        now = timer
        records = shard.ring(now, now)
        if of(records, "decisions"):
            return records, now
    raise AssertionError("no timer decided anything")


def of(records: list[Record], topic: str) -> list[Any]:
    """Values of one topic as JSON."""
    return [json.loads(r.value) for r in records if r.topic == topic]


@pytest.mark.parametrize("ordering", SETTINGS)
@given(log=logs(), data=st.data())
def test_batching_and_restarts_change_nothing(
    ordering: str, log: list[Arrived], data: st.DataObject
) -> None:
    """One batch, one a record, any cut, restarted anywhere: the same records for every key."""
    settings = msgspec.structs.replace(
        SETTINGS[ordering], journal_events=data.draw(st.sampled_from((1, 3, 7, 1_000)))
    )
    whole, left = run(log, [], settings)
    cuts = data.draw(st.lists(st.integers(1, len(log)), max_size=10))
    restarts = data.draw(st.frozensets(st.integers(0, 10)))
    single, _ = run(log, range(len(log)), settings)
    assert single == whole
    cut, cut_left = run(log, cuts, settings, restarts)
    assert cut == whole
    assert counts_of(cut_left, settings) == counts_of(left, settings)


@pytest.mark.parametrize("ordering", SETTINGS)
@given(log=logs())
def test_counts_agree(ordering: str, log: list[Arrived]) -> None:
    """Everything that came in is applied, late, dead, doubled, or still held."""
    settings = SETTINGS[ordering]
    found, store = run(log, [], settings)
    counts = counts_of(store, settings)
    held = sum(len(decode_subject(blob).buffer) for blob in store.subjects.values())
    assert counts["in"] == len(log)
    assert counts["in"] == sum(counts[c] for c in ("applied", "late", "dead", "doubled")) + held
    topics = [r.topic for records in found.values() for r in records]
    for topic, count in (("late", "late"), ("dead_letters", "dead"), ("decisions", "decisions")):
        assert topics.count(topic) == counts[count]


def test_a_rule_decides_with_its_features() -> None:
    """View and pay of the same sku give one decision that says why and on what."""
    shard = fresh()
    records = process(
        shard,
        record(1, "u", "view", 0, price=15.0, sku="x"),
        record(2, "u", "pay", 1_000, price=15.0, sku="x"),
    )
    (decision,) = of(records, "decisions")
    assert decision["flow"] == "thanks"
    assert decision["trigger"] == {
        "kind": "rule", "event_ids": ["e1", "e2"], "rule": "bought", "rule_version": 1,
        "match": "match", "complete_since": START_MS + 2_000 + 20_000,
    }  # fmt: skip
    assert decision["features"] == {"views_10s": 1, "paid": 15.0, "last_sku": "x"}
    assert decision["payload"] == {"sku": "x", "views": 1}
    since = START_MS + 2_000
    incomplete = {"views_10s": since + 10_000, "last_sku": since + 30_000}
    assert decision["reason"] == {"kind": "NO_CONDITION", "incomplete": incomplete}
    assert decision["at"] == START_MS + 1_000
    assert decision["revision"] == 1


def test_a_deadline_fires_by_the_clock_of_the_partition() -> None:
    """Another user's event moves the clock; the absence fires at its deadline."""
    shard = fresh()
    assert of(process(shard, record(1, "u", "cart", 0)), "decisions") == []
    before = process(shard, record(2, "v", "other", 6_999))
    assert of(before, "decisions") == []
    (decision,) = of(process(shard, record(3, "v", "other", 7_000)), "decisions")
    assert (decision["flow"], decision["user_id"]) == ("remind", "u")
    assert decision["at"] == START_MS + 5_000


def test_another_partition_does_not_move_the_clock() -> None:
    """Clocks are the partition's own."""
    shard = fresh()
    process(shard, record(1, "u", "cart", 0, partition=0))
    assert of(process(shard, record(2, "v", "other", 60_000, partition=1)), "decisions") == []


def test_a_late_event_reaches_aggregates_only() -> None:
    """Its copy is marked; the next decision has counted it."""
    shard = fresh()
    process(shard, record(1, "v", "other", 10_000))
    (copy,) = [
        r for r in process(shard, record(2, "u", "view", 7_000, price=15.0, sku="x"))
        if r.topic == "late"
    ]  # fmt: skip
    assert copy.headers["reason"] == b"late"
    assert copy.headers["firing_clock"] == str(START_MS + 8_000).encode()
    records = process(shard, record(3, "u", "pay", 12_000, price=40.0, sku="x"))
    flows = [decision["flow"] for decision in of(records, "decisions")]
    assert flows == ["big"], "the late view must not have begun a run"
    process(shard, record(4, "u", "view", 12_500, price=15.0, sku="x"))
    (decision,) = of(process(shard, record(5, "u", "pay", 12_600, price=1.0, sku="x")), "decisions")
    assert decision["features"]["views_10s"] == 2


def test_the_boundary_of_lateness() -> None:
    """An event exactly at the clock is in time, one before it is late."""
    shard = fresh()
    process(shard, record(1, "v", "other", 10_000))
    records = process(shard, record(2, "u", "other", 8_000), record(3, "u", "other", 7_999))
    assert [r.topic for r in records if r.topic != "control"] == ["late"]


def test_a_doubled_event_counts_once() -> None:
    """The first wins, also when the second comes in another batch."""
    shard = fresh()
    process(shard, record(1, "u", "pay", 0, price=5.0, sku="x"))
    records = process(
        shard,
        record(2, "u", "pay", 0, event_id="e1", price=5.0, sku="x"),
        record(3, "u", "pay", 10, price=40.0, sku="x"),
    )
    assert of(records, "decisions")[0]["features"] == {"paid": 45.0}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Arrived(b"u", None, 0, 7), "tombstone"),
        (Arrived(b"u", b"{", 0, 7), "broken_json"),
        (record(7, "u", "view", 0)._replace(key=None), "null_key"),
        (record(7, "u", "view", 0)._replace(key=b"\xff"), "bad_key"),
        (record(7, "u", "view", 0)._replace(key=b"w"), "foreign_key"),
        (record(7, "u", "view", 2 * 10**9), "future"),
        (Arrived(b"u", b'{"event_id":"e","event_type":"v","user_id":"u","event_time":1,"x":1}',
                 0, 7), "unknown_field"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_event_becomes_a_dead_letter(bad: Arrived, reason: str) -> None:
    """With its bytes, its place and the reason; the rest of the batch goes on."""
    records = process(fresh(), bad, record(8, "u", "pay", 0, price=40.0, sku="x"))
    (letter,) = [r for r in records if r.topic == "dead_letters"]
    assert letter.headers["error"] == reason.encode()
    assert (letter.headers["partition"], letter.headers["offset"]) == (b"0", b"7")
    assert letter.value == (bad.value or b"")
    assert len(of(records, "decisions")) == 1


def test_an_idle_partition_fires_deadlines_by_the_wall_clock() -> None:
    """No event at all: the timer fires the absence, tells `control`, and makes nothing late."""
    store = MemoryStore()
    shard = fresh(store, idle_advance_ms=1_000)
    now = START_MS + 10**6
    process(shard, record(1, "u", "cart", 0), now_ms=now)
    records, timer = ring_until_decided(shard, now)
    assert timer == now + 7_000
    (decision,) = of(records, "decisions")
    assert decision["at"] == START_MS + 5_000
    (told,) = [c for c in of(records, "control") if c["kind"] == "idle_advance"]
    assert told["offsets"] == {"0": 1}
    assert told["clock"] >= START_MS + 5_000
    records = process(shard, record(2, "u", "other", 1), now_ms=timer + 1)
    assert [r.topic for r in records if r.topic == "late"] == []


def test_an_idle_partition_after_a_restart() -> None:
    """The silence is counted from the start of the attempt; the restored timer is asked again."""
    store = MemoryStore()
    shard = fresh(store, idle_advance_ms=1_000)
    now = START_MS + 10**6
    process(shard, record(1, "u", "cart", 0), now_ms=now)
    timer = shard.next_timer(now)
    started = now + 60_000
    again = Shard(
        0,
        store,
        ShardSettings(idle_advance_ms=1_000, out_of_orderness_ms=2_000),
        program(),
        started,
    )
    assert timer is not None
    assert of(again.ring(timer, started), "decisions") == []
    _, later = ring_until_decided(again, started)
    assert later == started + 7_000


def test_held_events_are_released_when_the_partition_is_idle() -> None:
    """With `event_time` the last events do not stay unseen, and they come before deadlines."""
    shard = fresh(idle_advance_ms=1_000, reorder=True)
    now = START_MS + 10**6
    records = process(
        shard, record(1, "u", "pay", 4_000, price=40.0, sku="x"), record(2, "u", "cart", 3_000),
        now_ms=now,
    )  # fmt: skip
    assert of(records, "decisions") == []
    records, _ = ring_until_decided(shard, now)
    assert [d["flow"] for d in of(records, "decisions")] == ["big"]


def test_sorted_by_time_with_event_time() -> None:
    """A pay that arrives before its view still follows it."""
    shard = fresh(reorder=True)
    process(
        shard, record(1, "u", "pay", 1_000, price=15.0, sku="x"),
        record(2, "u", "view", 500, price=15.0, sku="x"),
    )  # fmt: skip
    (decision,) = of(process(shard, record(3, "v", "other", 3_000)), "decisions")
    assert decision["trigger"]["event_ids"] == ["e2", "e1"]


def test_a_limit_holds_across_batches_and_ends() -> None:
    """Once in 10 s; the second is counted; later it decides again."""
    store = MemoryStore()
    shard = fresh(store)
    flows = []
    for number, at in enumerate((0, 8_000, 30_000)):
        records = process(
            shard,
            record(2 * number, "u", "cart", at),
            record(2 * number + 1, "v", "other", at + 9_000),
        )
        flows += [d["flow"] for d in of(records, "decisions")]
    assert flows == ["remind", "remind"]
    assert shard._header.counts["limited"] == 1


def test_a_subject_that_moves_keeps_its_state() -> None:
    """In another partition its runs go on; deadlines follow the new clock; it is counted."""
    shard = fresh()
    process(shard, record(1, "u", "cart", 0, partition=0))
    process(shard, record(2, "u", "view", 10, partition=1, price=15.0, sku="x"))
    assert of(process(shard, record(3, "v", "other", 60_000, partition=0)), "decisions") == []
    (decision,) = of(process(shard, record(4, "w", "other", 60_000, partition=1)), "decisions")
    assert decision["user_id"] == "u"
    assert shard._header.counts["moved"] == 1


def test_state_goes_away() -> None:
    """After all windows and the memory of ids a subject leaves nothing behind."""
    parts = {**PARTS, "aggregates": PARTS["aggregates"][:1], "flows": []}
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS["arrival"], program(1, parts), 0)
    process(shard, record(1, "u", "view", 0, price=15.0, sku="x"))
    shard.flush()
    assert "u" in store.subjects
    process(shard, record(2, "v", "other", 24 * 3_600_000))
    shard.flush()
    assert "u" not in store.subjects


def test_a_journal_is_worked_off_under_its_own_program() -> None:
    """A batch under revision 1, a restart with revision 2: the run that began goes on."""
    store = MemoryStore()
    old = Program.compile(1, PARTS, {"decisions"}, payload=b"one")
    new = Program.compile(2, {**PARTS, "rules": PARTS["rules"][:1], "flows": PARTS["flows"][:1]},
                          {"decisions"}, payload=b"two")  # fmt: skip
    settings = ShardSettings(idle_advance_ms=None)
    shard = Shard(0, store, settings, old, 0)
    process(shard, record(1, "u", "view", 0, price=15.0, sku="x"))
    assert store.subjects == {}
    assert len(store.entries) == 1
    asked = []

    def recompile(payload: bytes) -> Program:
        asked.append(payload)
        return old

    again = Shard(0, store, settings, new, 0, recompile)
    assert asked == [b"one"]
    assert store.entries == {}
    records = process(again, record(2, "u", "pay", 1, price=15.0, sku="x"))
    (decision,) = of(records, "decisions")
    assert (decision["revision"], decision["trigger"]["event_ids"]) == (2, ["e1", "e2"])
    assert store.payload == b"two"


def test_a_journal_keeps_what_was_killed() -> None:
    """A limit used up before the kill switch was thrown is used up after the restart."""
    store = MemoryStore()
    settings = ShardSettings(idle_advance_ms=None, out_of_orderness_ms=2_000)
    shard = Shard(0, store, settings, program(), 0)
    process(shard, record(1, "u", "cart", 0), record(2, "v", "other", 7_000))
    shard.killed = Killed(all=True)
    again = Shard(0, store, settings, program(), 0)
    assert again._header.counts["decisions"] == 1
    process(again, record(3, "u", "cart", 8_000), record(4, "v", "other", 15_000))
    assert again._header.counts["limited"] == 1


def test_a_journal_grows_no_further_than_told() -> None:
    """After so many events or bytes the subjects are written and it is empty."""
    store = MemoryStore()
    settings = ShardSettings(idle_advance_ms=None, journal_events=3)
    shard = Shard(0, store, settings, program(), 0)
    process(shard, record(1, "u", "view", 0, sku="x"), record(2, "u", "view", 1, sku="x"))
    assert (len(store.entries), len(store.subjects)) == (1, 0)
    process(shard, record(3, "u", "view", 2, sku="x"))
    assert (len(store.entries), len(store.subjects)) == (0, 1)
    small = ShardSettings(idle_advance_ms=None, journal_bytes=10)
    shard = Shard(1, MemoryStore(), small, program(), 0)
    process(shard, record(1, "u", "view", 0, sku="x"))
    assert shard._journal.entries == 0


def test_a_killed_flow_is_counted_and_silent() -> None:
    """The kill switch names a flow or the rule that triggers it."""
    shard = fresh()
    shard.killed = Killed(flows=frozenset(["big"]), rules=frozenset(["bought"]))
    records = process(
        shard, record(1, "u", "view", 0, price=15.0, sku="x"),
        record(2, "u", "pay", 1, price=40.0, sku="x"),
    )  # fmt: skip
    assert of(records, "decisions") == []
    assert shard._header.counts["killed"] == 2


def test_a_switch_keeps_runs_and_aggregates() -> None:
    """A new revision with the same rules goes on where the old one was, and is announced."""
    shard = fresh()
    process(shard, record(1, "u", "view", 0, price=15.0, sku="x"))
    shard.switch(program(2))
    records = process(shard, record(2, "u", "pay", 1, price=15.0, sku="x"))
    (decision,) = of(records, "decisions")
    assert decision["revision"] == 2
    assert decision["features"]["views_10s"] == 1
    assert of(records, "control")[0] == {
        "kind": "revision", "shard": 0, "offsets": {"0": 1}, "revision": 2,
    }  # fmt: skip


def test_an_expression_error_is_false_and_counted() -> None:
    """A view without a price begins no run; the count is told with the counts."""
    shard = fresh(counts_interval_ms=0)
    records = process(shard, record(1, "u", "view", 0, sku="x"))
    (told,) = [c for c in of(records, "control") if c["kind"] == "counts"]
    assert told["counts"]["expression_errors"] >= 1
    assert told["counts"]["applied"] == 1


def test_offsets_that_fall_are_counted() -> None:
    """They are worked off all the same."""
    shard = fresh()
    process(shard, record(5, "u", "other", 0), record(4, "u", "other", 1))
    assert shard._header.counts["regressions"] == 1
    assert shard._header.counts["applied"] == 2


def test_state_of_a_later_version_is_refused() -> None:
    """With words that say what to do."""
    blob = encode_subject(Subject(version=2))
    with pytest.raises(StateIncompatible, match="release that wrote it"):
        decode_subject(blob)
    with pytest.raises(StateIncompatible, match="damaged"):
        decode_subject(b"\x01")
