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
