"""What must hold for any rules and events."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs
from udfs.matching.queue import pop, prune, push
from udfs.matching.runs import Place

SKIPS = ["no_skip", "skip_to_next", "skip_past_last_event", {"skip_to_first": "s0"}]
THEN = ["next", "followed_by", "followed_by_any", "not_next", "not_followed_by"]
WHERE = [None, "props.x > 1", "size(s0) < 3", "props.x >= last(s0).props.x"]


@st.composite
def rule_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw one to four valid rules of all kinds."""
    return [draw(one_rule(f"r{index}")) for index in range(draw(st.integers(1, 4)))]


@st.composite
def one_rule(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw a valid rule."""
    steps: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 3))):
        step: dict[str, Any] = {"step": f"s{index}"}
        types = draw(st.sampled_from([None, "a", "b", ["a", "c"]]))
        if types is not None:
            step["event"] = types
        if index:
            step["then"] = draw(st.sampled_from(THEN))
            where = draw(st.sampled_from(WHERE))
            if where is not None:
                step["where"] = where
        if step.get("then", "").startswith("not"):
            if steps[-1].get("optional"):
                step["then"] = "followed_by"
        else:
            times = draw(st.sampled_from([None, None, 2, "1..3", "1+"]))
            if times is not None:
                step["times"] = times
                step["inner"] = draw(st.sampled_from(["relaxed", "consecutive", "combinations"]))
            if index and draw(st.integers(0, 3)) == 0:
                step["optional"] = True
        steps.append(step)
    rule: dict[str, Any] = {"rule": name, "version": 1, "pattern": steps, "max_runs": 12}
    rule["after_match"] = draw(st.sampled_from(SKIPS))
    rule["on_overflow"] = draw(st.sampled_from(["drop_oldest", "drop_newest"]))
    if steps[-1].get("then") == "not_followed_by" or draw(st.booleans()):
        rule["within"] = f"{draw(st.integers(1, 9))}ms"
        rule["timeouts"] = draw(st.booleans())
    return rule


@st.composite
def event_lists(draw: st.DrawFn) -> list[Event]:
    """Draw up to ten events of one user in time order."""
    time = 0
    events = []
    for index in range(draw(st.integers(0, 10))):
        time += draw(st.integers(0, 4))
        event_type = draw(st.sampled_from("abcz"))
        props = {"x": draw(st.integers(0, 3))}
        events.append(Event(str(index), event_type, "u", time, props=props))
    return events


def run(machine: Machine, events: list[Event]) -> list[Match]:
    """Run events through, with one object of runs."""
    runs = Runs()
    found = []
    for event in events:
        found += machine.advance(runs, "u", event, event.event_time)
    return found + machine.due(runs, "u", 10**6)


@settings(max_examples=150, deadline=None)
@given(rule_sets(), event_lists(), st.data())
def test_storing_runs_changes_nothing(
    rules: list[dict[str, Any]], events: list[Event], data: st.DataObject
) -> None:
    """Runs written and read between any two events give the same matches and deadlines."""
    machine = Machine.compile(rules)
    kept = Runs()
    stored = Runs()
    for event in events:
        expected = machine.advance(kept, "u", event, event.event_time)
        assert machine.advance(stored, "u", event, event.event_time) == expected
        if data.draw(st.booleans()):
            blob = machine.encode(stored)
            assert (blob == b"") == (not stored)
            stored = machine.decode(blob)
            assert machine.encode(stored) is blob or not blob
        assert machine.next_deadline(stored) == machine.next_deadline(kept)
        assert bool(stored) == bool(kept)
    assert machine.due(stored, "u", 10**6) == machine.due(kept, "u", 10**6)


@settings(max_examples=150, deadline=None)
@given(rule_sets(), event_lists())
def test_together_is_each_alone(rules: list[dict[str, Any]], events: list[Event]) -> None:
    """The machine of all rules gives each rule's matches, none more."""
    together = run(Machine.compile(rules), events)
    for rule in rules:
        own = [found for found in together if found.rule == rule["rule"]]
        assert own == run(Machine.compile([rule]), events)


@settings(max_examples=100, deadline=None)
@given(rule_sets(), event_lists(), st.data())
def test_deadlines_fire_once_whenever_time_moves(
    rules: list[dict[str, Any]], events: list[Event], data: st.DataObject
) -> None:
    """Moving the clock between events, in any steps, gives what the next event would give."""
    machine = Machine.compile(rules)
    runs = Runs()
    found = []
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
        left = machine.next_deadline(runs)
        assert left is None or left > deadline
    assert found == run(machine, events)


@settings(max_examples=100, deadline=None)
@given(rule_sets(), event_lists())
def test_events_of_other_types_can_be_left_out(
    rules: list[dict[str, Any]], events: list[Event]
) -> None:
    """Events outside `event_types` change nothing but the clock."""
    machine = Machine.compile(rules)
    if machine.event_types is None:
        return
    concerned = [event for event in events if event.event_type in machine.event_types]
    assert run(machine, events) == run(machine, concerned)


@settings(max_examples=100, deadline=None)
@given(rule_sets(), event_lists())
def test_no_user_has_more_runs_than_the_cap(
    rules: list[dict[str, Any]], events: list[Event]
) -> None:
    """After every event the partial matches of a rule are at most its ``max_runs``."""
    machine = Machine.compile(rules)
    runs = Runs()
    for event in events:
        machine.advance(runs, "u", event, event.event_time)
        counts = dict.fromkeys(range(len(rules)), 0)
        for bucket in runs.buckets.values():
            for one in bucket:
                counts[one.state.rule] += 1
        for rule, queues in runs.queues.items():
            counts[rule] += len(queues.partial) - 1 + len(queues.held)
        assert max(counts.values()) <= 12


@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_the_queue_gives_keys_in_order(keys: list[int], limit: int) -> None:
    """Whatever is pushed and pruned, the smallest comes first."""
    queue: list[Place] = []
    for key in keys:
        push(queue, Place(key, None, None))
    prune(queue, limit)
    taken = [pop(queue).key for _ in range(len(queue))]
    assert taken == sorted(key for key in keys if key >= limit)
