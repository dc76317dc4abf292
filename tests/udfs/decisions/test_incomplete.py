"""From when on aggregates miss nothing: kept by shards, seen by flows, told by decisions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.udfs.decisions.logs import START_MS, record
from tests.udfs.decisions.test_completeness import decisions
from tests.udfs.decisions.test_golden_shard import golden
from udfs.aggregation import log
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings

MINUTE, HOUR = 60_000, 3_600_000
SETTINGS = ShardSettings(idle_advance_ms=None, out_of_orderness_ms=500)


def count(name: str, window: Any, event: str = "a") -> dict[str, Any]:
    """An aggregate that counts events of a type."""
    return {"aggregate": name, "event": event, "function": "count", "window": window}


def program(revision: int, *aggregates: dict[str, Any]) -> Program:
    """A flow on each event, which reads all of them."""
    flow = {
        "flow": "f", "version": 1, "trigger": {"event": ["a", "b"]},
        "features": [one["aggregate"] for one in aggregates],
        "action": {"payload": {"young": "'n' in incomplete", "none": "size(incomplete) == 0"}},
    }  # fmt: skip
    parts = {"aggregates": aggregates, "flows": [flow]}
    return Program.compile(revision, parts, {"decisions"}, payload=b"%d" % revision)


MINUTELY = count("n", {"sliding": "1m"})
FIRST = program(1, MINUTELY)


def young(shard: Shard, *at: int) -> list[dict[str, int]]:
    """Send events and give what is incomplete by them, ms after the start of the log."""
    found = decisions(shard, *(record(one, "u", "a", one) for one in at))
    return [
        {name: since - START_MS for name, since in one["reason"].get("incomplete", {}).items()}
        for one in found
    ]


def test_a_decision_names_aggregates_that_are_young() -> None:
    """Up to a window after the first record, and what may have been newer before it."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    last = 1_000 + 500 + MINUTE
    early, late = decisions(
        shard, record(1, "v", "other", 1_000), record(2, "u", "a", last - 1),
        record(3, "u", "a", last),
    )  # fmt: skip
    assert early["reason"]["incomplete"] == {"n": START_MS + last}
    assert early["payload"] == {"young": True, "none": False}
    assert "incomplete" not in late["reason"]
    assert late["payload"] == {"young": False, "none": True}


def up(time: int, step: int) -> int:
    """Give the first multiple of a step behind a time."""
    return (time // step + 1) * step


SWITCHED = START_MS + 10_000
KATHMANDU = 345 * MINUTE
"""East of UTC."""


@pytest.mark.parametrize(
    ("window", "since"),
    [
        ({"sliding": "1h"}, SWITCHED + HOUR),
        ({"sliding": "1h", "hop": "1m"}, up(SWITCHED, MINUTE) + HOUR),
        ({"tumbling": "15m"}, up(SWITCHED, 15 * MINUTE)),
        (
            {"tumbling": "1d", "timezone": "Asia/Kathmandu"},
            up(SWITCHED + KATHMANDU, 24 * HOUR) - KATHMANDU,
        ),
        ({"session": "1m"}, None),
        ({"last": 3}, None),
        ("lifetime", None),
    ],
)
def test_each_window_has_its_time(window: Any, since: int | None) -> None:
    """By the newest event before the push."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    young(shard, 0, 10_000)
    shard.switch(program(2, MINUTELY, count("m", window, "b")))
    found = young(shard, 10_001)[0].get("m")
    assert found == (None if since is None else since - START_MS)


def test_windows_of_one_stream_share_its_age() -> None:
    """A shorter one is as old; a longer one has what the one before had."""
    shard = Shard(0, MemoryStore(), SETTINGS, program(1, count("h", {"sliding": "1h"})), 0)
    young(shard, 0, 10 * HOUR)
    shard.switch(program(2, MINUTELY, count("d", {"sliding": "1d"})))
    assert young(shard, 10 * HOUR + 1) == [{"d": 9 * HOUR + 24 * HOUR}]
    shard.switch(program(3, MINUTELY, count("d", {"sliding": "1h"})))
    assert young(shard, 10 * HOUR + 2) == [{}]
    shard.switch(program(4, count("d", {"sliding": "2h"})))
    assert young(shard, 10 * HOUR + 3) == [{"d": 9 * HOUR + 2 + 2 * HOUR}]


def test_what_is_derived_is_as_young_as_the_youngest() -> None:
    """Of those that it reads, directly or not."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    young(shard, 0, 2 * MINUTE)
    hourly = count("h", {"sliding": "1h"}, "b")
    ratio = {"aggregate": "r", "derive": "n + h"}
    shard.switch(program(2, MINUTELY, hourly, ratio, {"aggregate": "s", "derive": "r + 1"}))
    since = 2 * MINUTE + HOUR
    assert young(shard, 3 * MINUTE) == [{"h": since, "r": since, "s": since}]


def test_what_nobody_read_for_a_while_is_new() -> None:
    """It was not kept meanwhile."""
    shard = Shard(0, MemoryStore(), SETTINGS, FIRST, 0)
    assert young(shard, 0, 5 * MINUTE) == [{"n": 500 + MINUTE}, {}]
    shard.switch(program(2, count("other", {"sliding": "1m"}, "b")))
    young(shard, 6 * MINUTE)
    shard.switch(program(3, MINUTELY))
    assert young(shard, 6 * MINUTE + 1) == [{"n": 7 * MINUTE}]


@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "journal"])
def test_ages_survive_restarts(*, flushed: bool) -> None:
    """Also one under a program that the shard did not see before."""
    store = MemoryStore()
    shard = Shard(0, store, SETTINGS, FIRST, 0)
    young(shard, 0, 2 * MINUTE)
    second = program(2, MINUTELY, count("h", {"sliding": "1h"}, "b"))
    shard.switch(second)
    young(shard, 3 * MINUTE)
    if flushed:
        shard.flush()
    shard = Shard(0, store, SETTINGS, second, 0)
    assert young(shard, 4 * MINUTE) == [{"h": 2 * MINUTE + HOUR}]
    third = program(3, MINUTELY, count("d", {"sliding": "1d"}, "c"))
    shard = Shard(0, store, SETTINGS, third, 0, lambda _payload: second)
    assert young(shard, 5 * MINUTE) == [{"d": 4 * MINUTE + 24 * HOUR}]


def test_a_user_with_more_events_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision says so, in other words than those for a young aggregate: by this user."""
    monkeypatch.setattr(log, "MAX_BLOCKS", 1)
    settings = msgspec.structs.replace(SETTINGS, dedupe_window_ms=1)
    shard = Shard(0, MemoryStore(), settings, program(1, count("n", {"sliding": "7s"})), 0)
    assert "n" in young(shard, 0)[0]
    busy = young(shard, *range(20_000, 28_000))
    (other,) = decisions(shard, record(28_000, "v", "a", 27_999))
    assert 27_999 < busy[-1]["n"] < 31_000
    assert busy[4_000] == {}
    assert "incomplete" not in other["reason"]
    assert young(shard, busy[-1]["n"]) == [{}]


def test_state_of_a_release_that_did_not_know() -> None:
    """Its aggregates count from the newest event that it has seen."""
    store = MemoryStore()
    store.shard = golden("header_v2.hex")
    store.rule_ages = golden("rule_ages_v1.hex")
    shard = Shard(0, store, SETTINGS, FIRST, 0)
    newest = 1_700_000_000_000
    (decision,) = decisions(shard, record(50, "u", "a", newest - START_MS + 1))
    assert decision["reason"]["incomplete"] == {"n": newest + MINUTE}
