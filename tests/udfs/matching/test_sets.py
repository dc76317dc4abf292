"""Sets of rules with every operator: together as alone, stored as kept, updated as stated."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.matching.differential.cases import draw
from tests.udfs.matching.differential.ours import answer, rule_of
from udfs.errors import ConfigInvalid
from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs

SEEDS = st.integers(0, 2**32)


def rules_of(seed: int, count: int) -> list[dict[str, Any]]:
    """Draw rules that are in order, each with a cap."""
    rules: list[dict[str, Any]] = []
    number = 0
    while len(rules) < count:
        rule = rule_of(draw(seed, number)) | {"rule": f"r{len(rules)}", "max_runs": 100}
        number += 1
        try:
            Machine.compile([rule])
        except ConfigInvalid:
            continue
        rules.append(rule)
    return rules


def events_of(seed: int) -> list[Event]:
    """Draw a stream."""
    return [
        Event(str(number), one["type"], "u", one["t"], props={"x": one["x"]})
        for number, one in enumerate(draw(seed, 0)["events"])
    ]


def run(rules: list[dict[str, Any]], events: list[Event]) -> list[Match]:
    """Give all that is found."""
    machine = Machine.compile(rules)
    runs = Runs()
    found: list[Match] = []
    for event in events:
        found += machine.advance(runs, "u", event, event.event_time)
    return found + machine.due(runs, "u", 10**6)


@settings(max_examples=6)
@given(SEEDS)
def test_fifty_rules_together_are_each_alone(seed: int) -> None:
    """One machine gives what each rule gives by itself, and nothing else."""
    rules, events = rules_of(seed, 50), events_of(seed)
    together = run(rules, events)
    for rule in rules:
        assert [one for one in together if one.rule == rule["rule"]] == run([rule], events)


@settings(max_examples=150)
@given(SEEDS)
def test_runs_stored_after_every_event(seed: int) -> None:
    """Written and read between any two events, the answers are the same, in the same order."""
    case = draw(seed, 0)
    assert answer(case, stored=True) == answer(case)


@settings(max_examples=150)
@given(SEEDS)
def test_events_of_other_types_can_be_left_out(seed: int) -> None:
    """Events outside `event_types` change nothing but the clock."""
    [rule], events = rules_of(seed, 1), events_of(seed)
    types = Machine.compile([rule]).event_types
    if types is not None:
        concerned = [event for event in events if event.event_type in types]
        assert run([rule], events) == run([rule], concerned)


@settings(max_examples=150)
@given(SEEDS, st.data())
def test_deadlines_fire_once_whenever_time_moves(seed: int, data: st.DataObject) -> None:
    """However the clock moves between events, the answers are the same."""
    [rule], events = rules_of(seed, 1), events_of(seed)
    machine = Machine.compile([rule])
    runs = Runs()
    found: list[Match] = []
    clock = 0
    for event in events:
        while clock < event.event_time and data.draw(st.booleans()):
            clock = data.draw(st.integers(clock + 1, event.event_time))
            found += machine.due(runs, "u", clock)
        found += machine.advance(runs, "u", event, event.event_time)
        clock = event.event_time
    while (deadline := machine.next_deadline(runs)) is not None:
        assert not machine.due(runs, "u", deadline - 1)
        found += machine.due(runs, "u", deadline)
    assert found == run([rule], events)
