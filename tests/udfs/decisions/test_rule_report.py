"""Fuses, the shadow, caps and cost, as the job tells them."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.udfs.decisions.logs import START_MS, Arrived, record
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.decisions.report import DEAREST
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings

SETTINGS = ShardSettings(idle_advance_ms=None)
FLOOD: dict[str, Any] = {
    "rule": "flood", "version": 4, "max_matches_per_minute": 2,
    "pattern": [{"step": "a", "event": "a"}],
}  # fmt: skip


def program(*rules: dict[str, Any]) -> Program:
    """A limited flow on the flood."""
    flow = {"flow": "f", "version": 1, "trigger": {"rule": "flood"}, "limit": {"per_user": "9/1d"},
            "action": {"payload": {}}}  # fmt: skip
    return Program.compile(1, {"rules": [FLOOD, *rules], "flows": [flow]}, {"decisions"})


def process(shard: Shard, *records: Arrived) -> list[Record]:
    """Work off a batch."""
    return shard.process(
        [r.key for r in records], [r.value for r in records], [r.partition for r in records],
        [r.offset for r in records], START_MS + 10**9,
    )  # fmt: skip


def of(records: list[Record], topic: str, kind: str | None = None) -> list[Any]:
    """Give the values of a topic."""
    values = [json.loads(one.value) for one in records if one.topic == topic]
    return [value for value in values if kind is None or value["kind"] == kind]


def events(first: int, number: int, user: str = "u") -> list[Arrived]:
    """Give a record a millisecond."""
    return [record(n, user, "a", n) for n in range(first, first + number)]


def test_a_fuse_that_goes_is_told_once() -> None:
    """On `control` and in the log; what comes after it is kept back."""
    shard = Shard(7, MemoryStore(), SETTINGS, program(), 0)
    with capture_logs() as logs:
        records = process(shard, *events(0, 5))
    assert len(of(records, "decisions")) == 2
    assert of(records, "control", "fuse") == [
        {"kind": "fuse", "shard": 7, "offsets": {"0": 4}, "rule": "flood", "version": 4,
         "at": START_MS + 2, "limit": 2},
    ]  # fmt: skip
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert (warning["rule"], warning["version"], warning["limit"]) == ("flood", 4, 2)
    records = process(shard, *events(5, 3))
    assert of(records, "decisions") == of(records, "control", "fuse") == []


def test_a_fuse_counts_for_all_shards_of_a_worker() -> None:
    """They share the machine; another program, or another worker, has fuses of its own."""
    shared = program()
    one, two = (Shard(number, MemoryStore(), SETTINGS, shared, 0) for number in (0, 1))
    assert len(of(process(one, *events(0, 2)), "decisions")) == 2
    records = process(two, *events(0, 2, "v"))
    assert of(records, "decisions") == []
    assert [alert["shard"] for alert in of(records, "control", "fuse")] == [1]
    assert of(process(one, *events(2, 1)), "decisions") == []
    one.switch(program())
    assert len(of(process(one, *events(3, 1)), "decisions")) == 1


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_journal_knows_what_fuses_kept_back(cut: int) -> None:
    """The fuse goes because of another shard's matches; a restart decides nothing more.

    Without it the matches that were kept back would find no outcome when the batch is worked
    off again.
    """
    shared, store = program(), MemoryStore()
    one, two = (
        Shard(number, kept, SETTINGS, shared, 0)
        for number, kept in enumerate((store, MemoryStore()))
    )
    process(two, *events(0, 1, "v"))
    log = events(0, 8)
    for batch in (log[:cut], log[cut:]):
        process(one, *batch)
    assert one._header.counts["decisions"] == 1
    with capture_logs() as logs:
        again = Shard(0, store, SETTINGS, program(), 0)
    assert logs == []
    assert again._header.counts == one._header.counts
    again.flush()
    one.flush()
    assert again._store.get("u") == one._store.get("u")
    # A new worker has new fuses.
    assert len(of(process(again, *events(8, 3)), "decisions")) == 2


def test_counts_tell_what_rules_have_to_say() -> None:
    """Once, by whichever shard tells next; rules with nothing to say are not there."""
    quiet = {"rule": "quiet", "version": 1, "pattern": [{"step": "z", "event": "z"}]}
    crowded = {
        "rule": "crowded", "version": 1, "max_runs": 2,
        "pattern": [{"step": "a", "event": "a"}, {"step": "b", "event": "b", "then": "next"}],
        "after_match": "skip_past_last_event",
    }  # fmt: skip
    piling = {
        "rule": "piling", "version": 1, "max_runs": 2, "within": "1h", "timeouts": True,
        "pattern": [{"step": "a", "event": "a"}, {"step": "b", "event": "b"}],
    }  # fmt: skip
    tried = FLOOD | {"rule": "tried", "mode": "shadow", "max_matches_per_minute": 1_000}
    shared = program(quiet, crowded, piling, tried)
    settings = ShardSettings(idle_advance_ms=None, counts_interval_ms=0)
    one, two = (Shard(number, MemoryStore(), settings, shared, 0) for number in (0, 1))
    (told,) = of(process(one, *events(0, 5)), "control", "counts")
    assert told["rules"] == {
        "flood": {"shadowed": 3}, "tried": {"shadowed": 5}, "piling": {"overflowed": 3},
    }  # fmt: skip
    (told,) = of(process(two, *events(5, 1, "v")), "control", "counts")
    assert told["rules"] == {"flood": {"shadowed": 1}, "tried": {"shadowed": 1}}
    (told,) = of(process(one, record(9, "u", "other", 9)), "control", "counts")
    assert "rules" not in told


def test_counts_tell_the_cost_of_the_dearest_rules() -> None:
    """From a sample of the events."""
    rules = [
        {"rule": f"r{n}", "version": 1, "pattern": [{"step": "a", "event": "b"}],
         "after_match": "skip_to_next"}
        for n in range(DEAREST + 5)
    ]  # fmt: skip
    made = program(*rules)
    ticks = count()
    made.machine.sample(lambda: next(ticks) * 1.5, every=2)
    settings = ShardSettings(idle_advance_ms=None, counts_interval_ms=0)
    shard = Shard(0, MemoryStore(), settings, made, 0)
    (told,) = of(process(shard, *(record(n, "u", "b", n) for n in range(4))), "control", "counts")
    assert len(told["rules"]) == DEAREST
    for cost in told["rules"].values():
        assert cost == {"evaluations": 2, "cost_us": 2 * 1_500_000 // len(rules)}
