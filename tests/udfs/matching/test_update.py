"""A rule set that changes in mid-stream: runs kept, dropped or finished, and the rules' ages."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.matching.differential.cases import draw
from tests.udfs.matching.differential.ours import rule_of
from udfs.errors import ConfigInvalid
from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs
from udfs.matching.ages import Ages

OLD: dict[str, Any] = {
    "rule": "r",
    "version": 1,
    "pattern": [{"step": "a", "event": "a"}, {"step": "b", "event": "b"}],
    "within": "1m",
}
NEW = OLD | {
    "version": 2,
    "pattern": [{"step": "a", "event": "a"}, {"step": "c", "event": "c"}],
}


def feed(machine: Machine, runs: Runs, *events: tuple[str, int]) -> list[str]:
    """Process events given as type and ms; give version and taken events of the matches."""
    found: list[Match] = []
    for kind, time in events:
        found += machine.advance(runs, "u", Event(f"{kind}{time}", kind, "u", time), time)
    return [
        f"v{one.version} {' '.join(e.event_id for taken in one.steps.values() for e in taken)}"
        for one in found
    ]


def handed_over(old: Machine, new: Machine, runs: Runs) -> Runs:
    """Give the runs as the new machine reads them."""
    return new.decode(old.encode(runs))


def test_drop_forgets_runs_of_another_structure() -> None:
    """This is the default."""
    old, new = Machine.compile([OLD]), Machine.compile([NEW], previous=[OLD])
    runs = Runs()
    feed(old, runs, ("a", 1), ("a", 2))
    runs = handed_over(old, new, runs)
    assert new.unknown_runs == 1  # a chain has one for each step at which runs wait
    assert feed(new, runs, ("b", 3), ("a", 4), ("b", 5), ("c", 6)) == ["v2 a4 c6"]


def test_finish_old_lets_them_go_on_but_begins_none() -> None:
    """Old runs match as before, new ones only the new way; then nothing of the old is left."""
    old = Machine.compile([OLD])
    new = Machine.compile([NEW | {"state": "finish_old"}], previous=[OLD])
    assert new.event_types == {"a", "b", "c"}
    assert new.steps_by_rule() == {"r": ("a", "c")}
    runs = Runs()
    feed(old, runs, ("a", 1), ("a", 2))
    runs = handed_over(old, new, runs)
    assert new.unknown_runs == 0
    found = feed(new, runs, ("a", 4), ("b", 5), ("c", 6), ("b", 7))
    assert found == ["v1 a1 b5", "v1 a2 b5", "v2 a4 c6"]
    assert not runs


def test_what_is_left_of_the_old_ends_with_its_window() -> None:
    """At the latest then."""
    old = Machine.compile([OLD])
    new = Machine.compile([NEW | {"state": "finish_old"}], previous=[OLD])
    runs = Runs()
    feed(old, runs, ("a", 1))
    runs = handed_over(old, new, runs)
    assert feed(new, runs, ("b", 60_001)) == []
    assert not runs


def test_old_rules_without_a_window_are_dropped() -> None:
    """They might never end."""
    endless = {key: value for key, value in OLD.items() if key != "within"}
    old = Machine.compile([endless])
    new = Machine.compile([NEW | {"state": "finish_old"}], previous=[endless])
    runs = Runs()
    feed(old, runs, ("a", 1))
    assert not handed_over(old, new, runs)
    assert new.unknown_runs == 1


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 13))
def test_finish_old_is_the_old_rule_without_new_runs(seed: int, cut: int) -> None:
    """What began before the change matches as if nothing had changed."""
    case = draw(seed, 0)
    rule = rule_of(case) | {"within": "1s", "after_match": "no_skip"}
    try:
        old = Machine.compile([rule], default_max_runs=None)  # new runs push no old ones out
    except ConfigInvalid:
        return
    other = NEW | {"state": "finish_old", "pattern": [{"step": "never", "event": "never"}]}
    new = Machine.compile([other], previous=[rule], default_max_runs=None)
    events = [
        Event(str(number), one["type"], "u", one["t"], props={"x": one["x"]})
        for number, one in enumerate(case["events"])
    ]
    kept, moved = Runs(), Runs()
    expected: list[Match] = []
    found: list[Match] = []
    for number, event in enumerate(events):
        if number == cut:
            moved = handed_over(old, new, moved)
        expected += old.advance(kept, "u", event, event.event_time)
        found += (old if number < cut else new).advance(moved, "u", event, event.event_time)
    expected += old.due(kept, "u", 10**6)
    found += (old if len(events) <= cut else new).due(moved, "u", 10**6)
    began = {event.event_id for event in events[:cut]}
    assert [key(one) for one in found] == [
        key(one) for one in expected if first_event(one).event_id in began
    ]


def first_event(match: Match) -> Event:
    """Give the first event that was taken."""
    return min(
        (event for taken in match.steps.values() for event in taken),
        key=lambda event: int(event.event_id),
    )


def key(match: Match) -> tuple[Any, ...]:
    """Give what there is to compare."""
    return match.kind, match.at, {n: [e.event_id for e in t] for n, t in match.steps.items()}


def test_ages() -> None:
    """A rule that was there before keeps its age; without a window nobody can tell."""
    forever = {key: value for key, value in OLD.items() if key != "within"} | {"rule": "forever"}
    first = Ages(Machine.compile([OLD, forever]).rules)
    assert first.complete_since("r") is None
    first.activate(1_000)
    assert first.complete_since("r") == 61_000
    assert first.complete_since("forever") is None
    second = Ages(Machine.compile([OLD | {"version": 7}, NEW | {"rule": "s"}]).rules)
    second.activate(5_000, first)
    assert second.complete_since("r") == 61_000
    assert second.complete_since("s") == 65_000


def test_an_older_version_has_its_own_age() -> None:
    """While it finishes; if it is back it is new, because nothing began meanwhile."""
    finishing = NEW | {"state": "finish_old"}
    first, second = Machine.compile([OLD]), Machine.compile([finishing], previous=[OLD])
    third = Machine.compile([OLD | {"version": 3}])
    ages = [Ages(machine.rules) for machine in (first, second, third)]
    ages[0].activate(1_000)
    ages[1].activate(5_000, ages[0])
    ages[2].activate(9_000, ages[1])
    assert ages[1].since_and_within("r", 1) == (1_000, 60_000)
    assert ages[1].since_and_within("r", 2) == (5_000, 60_000)
    assert ages[2].since_and_within("r", 3) == (9_000, 60_000)
    assert ages[2].since_and_within("nobody", 1) is None
