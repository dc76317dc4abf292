"""``state: finish_old`` in a shard: runs of a rule that was replaced go on to their end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.udfs.decisions.logs import START_MS, Arrived, record
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings

SETTINGS = ShardSettings(idle_advance_ms=None, out_of_orderness_ms=0)

Parts = dict[str, list[Any]]


def rule(version: int, last: str, then: str = "followed_by") -> dict[str, Any]:
    """An ``a`` and something after it within a minute."""
    return {
        "rule": "r", "version": version, "within": "1m", "state": "finish_old",
        "pattern": [{"step": "a", "event": "a"}, {"step": last, "event": last, "then": then}],
    }  # fmt: skip


def program(revision: int, rules: list[Any], finishing: list[Any]) -> Program:
    """A flow on the rule; the payload is a list of parts, as a shard keeps it."""
    flows = [
        {"flow": "f", "version": revision, "trigger": {"rule": "r"},
         "action": {"payload": {"first": "a[0].event_time"}}},
    ]  # fmt: skip
    parts: Parts = {"rules": rules, "flows": flows, "finishing": finishing}
    payload = json.dumps([revision, rules, finishing]).encode()
    return Program.compile(revision, parts, {"decisions"}, payload=payload)


def recompile(payload: bytes) -> Program:
    """Make a program of what a shard has kept."""
    return program(*json.loads(payload))


OLD = program(1, [rule(1, "b")], [])
NEW = program(2, [rule(2, "c")], [rule(1, "b")])


def process(shard: Shard, *records: Arrived) -> list[tuple[int, int, list[str]]]:
    """Give revision, version of the rule and events of the decisions of a batch."""
    out = shard.process(
        [r.key for r in records], [r.value for r in records], [r.partition for r in records],
        [r.offset for r in records], START_MS + 10**9,
    )  # fmt: skip
    decisions = [json.loads(one.value) for one in out if one.topic == "decisions"]
    return [
        (d["revision"], d["trigger"]["rule_version"], d["trigger"]["event_ids"]) for d in decisions
    ]


def went_over(shard: Shard, store: MemoryStore, how: str) -> Shard:
    """Let a shard go over to the new program."""
    if how == "restored":
        shard.flush()
    if how in ("restored", "journal"):
        return Shard(0, store, SETTINGS, NEW, 0, recompile)
    shard.switch(NEW)
    if how == "restarted later":
        assert process(shard, record(50, "other", "a", 0)) == []
        assert store.entries
        # What the job has kept is all that a new attempt knows.
        return Shard(0, store, SETTINGS, recompile(NEW.payload), 0, recompile)
    return shard


@pytest.mark.parametrize("how", ["switched", "restored", "journal", "restarted later"])
def test_runs_finish_under_the_new_program(how: str) -> None:
    """As matches of the old version, in the flows in force; new ones begin the new way."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, OLD, 0)
    assert process(shard, record(1, "u", "a", 0), record(2, "v", "a", 0)) == []
    shard = went_over(shard, store, how)
    assert process(shard, record(3, "u", "a", 1_000)) == []
    assert process(shard, record(4, "u", "b", 2_000)) == [(2, 1, ["e1", "e4"])]
    assert process(shard, record(5, "v", "c", 2_000)) == []
    assert process(shard, record(6, "u", "c", 3_000)) == [(2, 2, ["e3", "e6"])]
    assert process(shard, record(7, "u", "b", 4_000)) == []
    assert process(shard, record(8, "v", "b", 60_000)) == []  # its window has passed


def test_a_journal_of_the_new_program_is_worked_off_with_the_old_rule() -> None:
    """The end of an old run lies in the journal: after the restart the run is over."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, OLD, 0)
    process(shard, record(1, "u", "a", 0))
    shard.switch(NEW)
    assert process(shard, record(2, "u", "b", 1_000)) == [(2, 1, ["e1", "e2"])]
    third = program(3, [rule(3, "d")], [rule(2, "c"), rule(1, "b")])
    again = Shard(0, store, SETTINGS, third, 0, recompile)
    assert again._header.counts["matches"] == 1
    assert again._header.counts["decisions"] == 1
    assert process(again, record(3, "u", "b", 2_000)) == []


def test_an_absence_fires_though_its_subject_is_not_touched() -> None:
    """The clock of the partition wakes it, under the new program."""
    old = program(1, [rule(1, "pay", "not_followed_by")], [])
    new = program(2, [rule(2, "c")], [rule(1, "pay", "not_followed_by")])
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, old, 0)
    process(shard, record(1, "u", "a", 0))
    shard.switch(new)
    assert process(shard, record(2, "v", "other", 59_999)) == []
    assert process(shard, record(3, "v", "other", 60_000)) == [(2, 1, ["e1"])]


def test_several_generations_finish_side_by_side() -> None:
    """Each under its own version."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, OLD, 0)
    process(shard, record(1, "u", "a", 0))
    shard.switch(NEW)
    process(shard, record(2, "u", "a", 1))
    shard.switch(program(3, [rule(3, "d")], [rule(1, "b"), rule(2, "c")]))
    process(shard, record(3, "u", "a", 2))
    assert process(
        shard, record(4, "u", "d", 3), record(5, "u", "c", 4), record(6, "u", "b", 5)
    ) == [(3, 3, ["e3", "e4"]), (3, 2, ["e2", "e5"]), (3, 1, ["e1", "e6"])]


def test_without_it_they_are_dropped() -> None:
    """A rule that is not among those that finish has no runs any more."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, OLD, 0)
    process(shard, record(1, "u", "a", 0))
    shard.switch(program(2, [rule(2, "c")], []))
    assert process(shard, record(2, "u", "b", 1)) == []
