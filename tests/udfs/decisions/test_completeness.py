"""From when on a rule misses nothing: kept by shards, seen by flows, told by decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.udfs.decisions.logs import START_MS, Arrived, record
from tests.udfs.decisions.test_golden_shard import golden
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.errors import ConfigInvalid
from udfs.schemas import validator

MINUTE = 60_000
SETTINGS = ShardSettings(idle_advance_ms=None, out_of_orderness_ms=500)


def rule(name: str, kind: str, version: int = 1, **changed: Any) -> dict[str, Any]:
    """A rule that each event of a kind fulfils."""
    pattern = [{"step": "one", "event": kind}]
    return {"rule": name, "version": version, "within": "1m", "pattern": pattern, **changed}


def program(revision: int, *rules: dict[str, Any], **changed: Any) -> Program:
    """A flow on each rule, which tells what it sees."""
    flows = [
        {"flow": each["rule"], "version": 1, "trigger": {"rule": each["rule"]},
         "action": {"payload": {"since": "complete_since", "complete": "at >= complete_since"}}}
        for each in rules
    ]  # fmt: skip
    parts = {"rules": rules, "flows": flows, **changed}
    return Program.compile(revision, parts, {"decisions"}, payload=b"%d" % revision)


A, B = rule("a", "a"), rule("b", "b")
FIRST, SECOND = program(1, A), program(2, A, B)


def decisions(shard: Shard, *records: Arrived) -> list[dict[str, Any]]:
    """Give the decisions of a batch; all keep the schema."""
    out = shard.process(
        [r.key for r in records], [r.value for r in records], [r.partition for r in records],
        [r.offset for r in records], START_MS + 10**9,
    )  # fmt: skip
    found = [json.loads(one.value) for one in out if one.topic == "decisions"]
    for decision in found:
        validator("udfs.decisions", "decision.schema.json").validate(decision)
    return found


def sinces(shard: Shard, *records: Arrived) -> list[int | None]:
    """Give what flows see as `complete_since`, ms after the start of the log."""
    found = [one["payload"]["since"] for one in decisions(shard, *records)]
    return [None if since is None else since - START_MS for since in found]


def test_a_decision_says_that_its_rule_is_young() -> None:
    """Up to a window after the first record, and what may have been newer before it."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    last = 1_000 + 500 + MINUTE
    young, grown = decisions(
        shard, record(1, "v", "other", 1_000), record(2, "u", "a", last - 1),
        record(3, "u", "a", last),
    )  # fmt: skip
    assert young["trigger"]["complete_since"] == START_MS + last
    assert young["payload"] == {"since": START_MS + last, "complete": False}
    assert "complete_since" not in grown["trigger"]
    assert grown["payload"] == {"since": START_MS + last, "complete": True}


def test_each_partition_begins_by_itself() -> None:
    """So that it does not matter which of them is read first."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    assert sinces(
        shard, record(1, "u", "a", 5_000), record(2, "v", "a", 9_000, partition=1),
        record(3, "u", "a", 6_000), record(4, "w", "a", 0, partition=2),
        record(5, "v", "a", 9_001, partition=2),
    ) == [65_500, 69_500, 65_500, 60_500, 60_500]  # fmt: skip


def test_a_pushed_rule_is_in_force_since_the_newest_event() -> None:
    """Of any partition; those that were there keep their age."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    decisions(shard, record(1, "u", "a", 0), record(2, "v", "other", 7_000, partition=1))
    shard.switch(SECOND)
    assert sinces(shard, record(3, "u", "a", 8_000), record(4, "u", "b", 8_000)) == [60_500, 67_000]


@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "journal"])
def test_ages_survive_restarts(*, flushed: bool) -> None:
    """Also one under a program that the shard did not see before."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, FIRST, 0)
    decisions(shard, record(0, "u", "a", 0), record(1, "u", "a", 3_000))
    shard.switch(SECOND)
    decisions(shard, record(2, "u", "a", 9_000))
    if flushed:
        shard.flush()
    shard = Shard(0, store, SETTINGS, SECOND, 0)
    both = record(3, "u", "a", 10_000), record(4, "u", "b", 10_000)
    assert sinces(shard, *both) == [60_500, 63_000]
    third = program(3, A, B, rule("c", "c"))
    shard = Shard(0, store, SETTINGS, third, 0, lambda _payload: SECOND)
    three = [record(n, "u", kind, 20_000) for n, kind in enumerate("abc", 5)]
    assert sinces(shard, *three) == [60_500, 63_000, 70_000]


def test_a_restart_before_the_first_batch_changes_nothing() -> None:
    """The switch was at the same events."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, FIRST, 0)
    decisions(shard, record(1, "u", "a", 4_000))
    shard.switch(SECOND)
    for _ in range(2):
        shard = Shard(0, store, SETTINGS, SECOND, 0, lambda _payload: FIRST)
    assert sinces(shard, record(2, "u", "b", 5_000)) == [64_500]
    assert sinces(shard, record(3, "u", "b", 300_000)) == [64_500]


def test_a_rule_that_comes_back_is_new() -> None:
    """It has missed what happened meanwhile."""
    shard = Shard(0, MemoryStore(), SETTINGS, SECOND, 0)
    decisions(shard, record(1, "u", "b", 0))
    shard.switch(program(3, A))
    decisions(shard, record(2, "u", "a", 30_000))
    shard.switch(program(4, A, B))
    assert sinces(shard, record(3, "u", "b", 30_001)) == [90_000]


def test_an_old_version_that_finishes_tells_its_own_age() -> None:
    """And the new one is as young as it is."""
    two = [{"step": "one", "event": "a"}, {"step": "two", "event": "b"}]
    other = [{"step": "one", "event": "a"}, {"step": "two", "event": "c"}]
    old = rule("r", "a", pattern=two)
    new = rule("r", "a", 2, pattern=other, state="finish_old")
    shard = Shard(0, MemoryStore(), SETTINGS, program(1, old), 0)
    decisions(shard, record(1, "u", "a", 0))
    shard.switch(program(2, new, finishing=[old]))
    found = decisions(
        shard, record(2, "u", "a", 1_000), record(3, "u", "b", 2_000), record(4, "u", "c", 3_000)
    )
    assert [(d["trigger"]["rule_version"], d["payload"]["since"] - START_MS) for d in found] == [
        (1, 60_500), (2, 60_500),
    ]  # fmt: skip
    shard.switch(program(3, new | {"version": 3, "pattern": two}))
    assert sinces(shard, record(5, "u", "a", 4_000), record(6, "u", "b", 5_000)) == [63_000]


def test_without_a_window_nothing_is_known() -> None:
    """Null for the flow, and nothing in the trigger."""
    endless = {key: value for key, value in A.items() if key != "within"}
    shard = Shard(0, MemoryStore(), SETTINGS, program(1, endless), 0)
    (decision,) = decisions(shard, record(1, "u", "a", 0))
    assert decision["payload"] == {"since": None, "complete": None}
    assert "complete_since" not in decision["trigger"]


def test_state_of_a_release_without_ages() -> None:
    """Its rules count from the newest event that it has seen, and that is kept."""
    store = MemoryStore()
    store.shard = golden("header_v1.hex")
    newest = 1_700_000_000_000 - START_MS
    for number in (50, 51):
        shard = Shard(0, store, SETTINGS, FIRST, 0)
        at_ms = newest + number * 1_000
        assert sinces(shard, record(number, "u", "a", at_ms)) == [newest + MINUTE]


def test_a_flow_that_waits_for_events_knows_no_age() -> None:
    """A fault when it is loaded."""
    flow = {"flow": "f", "version": 1, "trigger": {"event": "a"},
            "action": {"when": "at >= complete_since", "payload": {}}}  # fmt: skip
    with pytest.raises(ConfigInvalid, match="complete_since"):
        program(1, A, flows=[flow])
