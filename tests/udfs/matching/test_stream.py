"""The object behind `match`: events as they come, snapshots in between."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.matching.differential.cases import draw
from tests.udfs.matching.differential.ours import rule_of
from udfs.errors import ConfigInvalid, StateIncompatible
from udfs.matching import Stream, match, stream

RULE: dict[str, Any] = {
    "rule": "r",
    "version": 1,
    "pattern": [
        {"step": "a", "event": "a"},
        {"step": "b", "event": "b", "then": "not_followed_by"},
    ],
    "within": "5ms",
}


def event(kind: str, user: str, time: int) -> dict[str, Any]:
    """Give an event."""
    return {"event_id": f"{kind}{time}", "event_type": kind, "user_id": user, "event_time": time}


def test_the_example() -> None:
    """Of the class."""
    assert doctest.testmod(stream).failed == 0


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_a_snapshot_after_every_event_changes_nothing(seed: int) -> None:
    """The matches are those of `match`, whatever was put away in between."""
    rules, events = [], []
    for number in range(4):
        case = draw(seed, number)
        # Events of several cases can be taken in more ways than there is memory for.
        rule = rule_of(case) | {"rule": f"r{number}", "max_runs": 50}
        try:
            Stream([rule])
        except ConfigInvalid:
            continue
        rules.append(rule)
        events += [
            event(one["type"], f"u{number % 2}", one["t"]) | {"props": {"x": one["x"]}}
            for one in case["events"]
        ]
    events.sort(key=lambda one: one["event_time"])
    for number, one in enumerate(events):
        one["event_id"] = str(number)
    found = []
    running = Stream(rules)
    for one in events:
        found += running.advance(one["user_id"], [one])
        saved = running.snapshot()
        running = Stream(rules)
        running.restore(saved)
    found += running.due(10_000)
    assert sorted(map(str, found)) == sorted(map(str, match(rules, events, 10_000)))


def test_due_moves_all_users_by_deadline() -> None:
    """Only those that are behind."""
    running = Stream([RULE])
    running.advance("u", [event("a", "u", 10)])
    running.advance("v", [event("a", "v", 8)])
    running.advance("w", [event("a", "w", 90)])
    assert [(one["user_id"], one["at"]) for one in running.due(20)] == [("v", 13), ("u", 15)]
    assert running.due(20) == []


def test_falling_times_are_refused() -> None:
    """A user's clock never goes back."""
    running = Stream([RULE])
    running.due(0)
    with pytest.raises(ValueError, match="fall from 9 to 8"):
        running.advance("u", [event("a", "u", 9), event("a", "u", 8)])


@pytest.mark.parametrize("broken", [b"", b"x", b"\x92\x02\x80"], ids=["empty", "broken", "newer"])
def test_other_bytes_are_refused(broken: bytes) -> None:
    """With a word on what is wrong."""
    with pytest.raises(StateIncompatible):
        Stream([RULE]).restore(broken)
