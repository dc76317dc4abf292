"""Runs as bytes: versions, updates of the rule set, caps, and what is not touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from udfs.errors import StateIncompatible
from udfs.events.event import Event
from udfs.matching import Machine, Runs

GOLDEN = Path(__file__).parents[2] / "golden"
PLAIN: dict[str, Any] = {
    "rule": "plain",
    "version": 1,
    "pattern": [
        {"step": "a", "event": "a", "times": "1+"},
        {"step": "b", "event": "b", "where": "props.n == last(a).props.n"},
        {"step": "c", "event": "c", "then": "not_followed_by"},
    ],
    "within": "1m",
}
SKIPPING: dict[str, Any] = {
    "rule": "skipping",
    "version": 1,
    "pattern": [
        {"step": "a", "event": "a"},
        {"step": "b", "event": "b", "where": "props.n == a[0].props.n"},
    ],
    "after_match": "skip_past_last_event",
    "within": "1m",
}
CHAIN: dict[str, Any] = {
    "rule": "sequence",
    "version": 1,
    "pattern": [
        {"step": "a", "event": "a", "where": "props.n > 0"},
        {"step": "b", "event": ["b", "c"]},
        {"step": "c", "event": "c"},
    ],
    "after_match": "skip_past_last_event",
    "within": "1m",
}


def event(event_type: str, time: int, number: int = 0) -> Event:
    """Give an event of the user u."""
    return Event(f"{event_type}{time}", event_type, "u", time, props={"n": number})


def feed(machine: Machine, runs: Runs, *events: Event) -> list[str]:
    """Process events and give the matches as rule and ids."""
    return [
        f"{found.rule} {' '.join(e.event_id for taken in found.steps.values() for e in taken)}"
        for one in events
        for found in machine.advance(runs, "u", one, one.event_time)
    ]


def due(machine: Machine, runs: Runs) -> list[tuple[str, int, int]]:
    """Let all windows pass."""
    return [(one.rule, one.at, one.start) for one in machine.due(runs, "u", 70_000)]


def full_runs(machine: Machine) -> Runs:
    """Give runs of both kinds, branched, with a held-back match."""
    runs = Runs()
    log = [event("a", 10, 1), event("a", 20, 2), event("b", 30, 2), event("x", 40)]
    assert feed(machine, runs, *log) == []
    return runs


def test_version_1_is_still_read() -> None:
    """A blob written by the first version goes on where it stopped."""
    machine = Machine.compile([PLAIN, SKIPPING])
    runs = machine.decode((GOLDEN / "runs_v1.bin").read_bytes())
    assert machine.next_deadline(runs) == 60_010
    assert due(machine, runs) == [
        ("plain", 60_010, 10),
        ("skipping", 60_010, 20),
        ("plain", 60_020, 20),
    ]
    assert not runs


def test_version_2_is_still_read() -> None:
    """Likewise, with what is kept of rules that are chains."""
    machine = Machine.compile([PLAIN, SKIPPING, CHAIN])
    runs = machine.decode((GOLDEN / "runs_v2.bin").read_bytes())
    assert feed(machine, runs, event("c", 50)) == ["sequence a10 b30 c50"]
    assert due(machine, runs) == [("skipping", 60_010, 20)]
    assert not runs


def test_version_2_is_still_written() -> None:
    """The same runs give the same bytes; if this is wanted otherwise, raise the version."""
    machine = Machine.compile([PLAIN, SKIPPING, CHAIN])
    assert machine.encode(full_runs(machine)) == (GOLDEN / "runs_v2.bin").read_bytes()


def test_another_version_is_refused() -> None:
    """The message says what to do."""
    with pytest.raises(StateIncompatible, match="format 9"):
        Machine.compile([PLAIN]).decode(b"\x09")


def test_broken_bytes_are_refused() -> None:
    """Every cut of a blob is noticed at the latest when the runs are needed."""
    machine = Machine.compile([PLAIN, SKIPPING])
    blob = machine.encode(full_runs(machine))
    for length in range(1, len(blob)):
        with pytest.raises(StateIncompatible):
            machine.due(machine.decode(blob[:length]), "u", 10**9)


def test_untouched_runs_give_back_the_same_blob() -> None:
    """An event that concerns nothing leaves the very object, and nothing is unpacked."""
    machine = Machine.compile([PLAIN, SKIPPING])
    blob = machine.encode(full_runs(machine))
    runs = machine.decode(blob)
    feed(machine, runs, event("unheard_of", 50))
    assert runs.packed is not None
    assert machine.encode(runs) is blob


def test_nothing_to_remember_is_no_bytes() -> None:
    """An empty user needs no state."""
    machine = Machine.compile([SKIPPING])
    runs = machine.decode(b"")
    assert not runs
    feed(machine, runs, event("a", 10))
    assert runs
    assert feed(machine, runs, event("b", 20)) == ["skipping a10 b20"]
    assert not runs
    assert machine.encode(runs) == b""
    assert machine.next_deadline(runs) is None


def test_unchanged_rules_keep_their_runs() -> None:
    """Version, priority, cap, order of rules do not matter; other structure is dropped."""
    old = Machine.compile([PLAIN, SKIPPING])
    blob = old.encode(full_runs(old))
    first = {"rule": "first", "version": 1, "pattern": [{"step": "x", "event": "q"}]}
    kept = SKIPPING | {"version": 2, "priority": 5, "max_runs": 7, "timeouts": True}
    changed = PLAIN | {"within": "2m"}
    new = Machine.compile([first, kept, changed])
    runs = new.decode(blob)
    found = new.due(runs, "u", 10**6)
    assert [(one.rule, one.version, one.kind) for one in found] == [
        ("skipping", 2, "timeout"),
        ("skipping", 2, "match"),
    ]
    assert new.unknown_runs == 5
    assert new.encode(runs) == b""


def test_events_are_stored_once() -> None:
    """However many runs hold one."""
    many = [SKIPPING | {"rule": f"r{index}"} for index in range(20)]
    machine = Machine.compile(many)
    runs = Runs()
    feed(machine, runs, event("a", 10))
    assert machine.encode(runs).count(b"a10") == 1


@pytest.mark.parametrize("after_match", ["no_skip", "skip_to_next"])
@pytest.mark.parametrize(
    ("on_overflow", "expected"),
    [("drop_oldest", ["r a20 b40", "r a30 b40"]), ("drop_newest", ["r a10 b40", "r a20 b40"])],
)
def test_cap(on_overflow: str, expected: list[str], after_match: str) -> None:
    """What is too much is dropped and counted by rule."""
    rule = {
        "rule": "r",
        "version": 1,
        "pattern": [{"step": "a", "event": "a"}, {"step": "b", "event": "b"}],
        "max_runs": 2,
        "on_overflow": on_overflow,
        "after_match": after_match,
    }
    machine = Machine.compile([rule])
    runs = Runs()
    log = [event("a", 10), event("a", 20), event("a", 30), event("b", 40)]
    assert feed(machine, runs, *log) == expected
    assert machine.overflowed == {"r": 1}


def test_rule_time_counts_for_windows() -> None:
    """An event whose own time lies back is taken at the user's rule time."""
    machine = Machine.compile([SKIPPING])
    runs = Runs()
    machine.advance(runs, "u", event("a", 10), 50_000)
    [found] = machine.advance(runs, "u", event("b", 70_000), 100_000)
    assert (found.start, found.at) == (50_000, 100_000)


def test_event_types() -> None:
    """What cannot change anything need not be handed in."""
    assert Machine.compile([SKIPPING]).event_types == {"a", "b"}
    strict = SKIPPING | {"pattern": [{"step": "a", "event": "a"}, {"step": "b", "then": "next"}]}
    assert Machine.compile([strict]).event_types is None
    assert Machine.compile([]).event_types == set()


def test_a_predicate_is_asked_once_per_event() -> None:
    """However many rules share it."""
    from udfs.matching.predicates import Compiled  # noqa: PLC0415 - the seam, only here

    asked = []

    def compiler(text: str, steps: tuple[str, ...], where: str) -> Compiled:
        del steps, where
        return Compiled(lambda *_: asked.append(text) or True, frozenset())  # type: ignore[func-returns-value]

    pattern = [{"step": "a", "event": "a", "where": "same"}, {"step": "b", "event": "b"}]
    rules = [{"rule": f"r{index}", "version": 1, "pattern": pattern} for index in range(50)]
    machine = Machine.compile(rules, compiler=compiler)
    feed(machine, Runs(), event("a", 1), event("a", 2))
    assert asked == ["same", "same"]
