"""Rules that are chains, worked off together: the answers of runs that are kept one by one."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs, chain_state, codec

TYPES = ["a", "b", "c"]
WHERE = st.none() | st.sampled_from(
    [
        *(f"props.n {operator} {number}" for operator in ("<", "<=", ">", ">=", "==")
          for number in ("1", "2", "2.5", "-1")),
        "props.m > 1", "props.m > 2", "props.m != props.n", "props.n > 0 && props.m < 3",
    ]
)  # fmt: skip
STEPS = st.lists(
    st.fixed_dictionaries(
        {"event": st.sampled_from([*TYPES, ["a", "b"], None]), "where": WHERE,
         "times": st.sampled_from([None, None, None, 2, 3])}
    ),
    min_size=1, max_size=4,
)  # fmt: skip
RULES = st.lists(
    st.tuples(
        STEPS,
        st.sampled_from([3, 10, 40, 1000]),
        st.sampled_from(["no_skip", "skip_to_next", "skip_past_last_event"]),
        st.sampled_from([{}, {"max_runs": 1}, {"max_runs": 3},
                         {"max_runs": 2, "on_overflow": "drop_newest"}, {"timeouts": True}]),
    ),
    min_size=1, max_size=12,
)  # fmt: skip
VALUES = st.sampled_from([-2, -1, 0, 1, 2, 2.5, 3, "2", None, float("nan")])
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*TYPES, "d"]),
        st.integers(0, 4),
        st.dictionaries(st.sampled_from(["n", "m"]), VALUES),
    ),
    max_size=40,
)


def rules_of(drawn: list[Any]) -> list[dict[str, Any]]:
    """Spell rules out."""
    rules = []
    for number, (steps, window, skip, cap) in enumerate(drawn):
        pattern = [
            {"step": f"s{place}", **{key: value for key, value in step.items() if value}}
            for place, step in enumerate(steps)
        ]
        rules.append(
            {"rule": f"r{number}", "version": 1, "pattern": pattern, "within": f"{window}ms",
             "after_match": skip, **cap}
        )  # fmt: skip
    return rules


def events_of(drawn: list[Any]) -> list[Event]:
    """Spell a stream out."""
    events, time = [], 0
    for number, (kind, gap, props) in enumerate(drawn):
        time += gap
        events.append(Event(str(number), kind, "u", time, props=props))
    return events


def shown(matches: list[Match]) -> list[tuple[object, ...]]:
    """What can be compared, though NaN is not equal to itself."""
    return [
        (one.at, one.rule, one.kind, one.start,
         {step: [each.event_id for each in taken] for step, taken in one.steps.items()})
        for one in matches
    ]  # fmt: skip


def advance(machine: Machine, runs: Runs, event: Event) -> list[tuple[object, ...]]:
    """What an event gives."""
    return shown(machine.advance(runs, "u", event, event.event_time))


def due(machine: Machine, runs: Runs, now: int) -> list[tuple[object, ...]]:
    """What a deadline gives."""
    return shown(machine.due(runs, "u", now))


@settings(max_examples=400)
@given(RULES, EVENTS, st.data())
def test_together_as_one_by_one(drawn: list[Any], log: list[Any], data: st.DataObject) -> None:
    """In every order of the matches too; stored at any time, with the clock moving on between."""
    with patch.object(chain_state, "ROOM", data.draw(st.sampled_from([1, 4, 64]))):
        _compare(rules_of(drawn), log, data)


def _compare(rules: list[dict[str, Any]], log: list[Any], data: st.DataObject) -> None:
    together = Machine.compile(rules, default_max_runs=None)
    alone = Machine.compile(rules, default_max_runs=None, chains=False)
    runs, others = Runs(), Runs()
    for event in events_of(log):
        if data.draw(st.booleans()):
            runs = together.decode(together.encode(runs))
        if data.draw(st.booleans()):
            now = event.event_time
            assert due(together, runs, now) == due(alone, others, now)
        assert advance(together, runs, event) == advance(alone, others, event)
        now = event.event_time
        assert together.live_runs(runs, now) == alone.live_runs(others, now)
    assert together.overflowed == alone.overflowed
    while (deadline := together.next_deadline(runs)) is not None:
        assert due(together, runs, deadline) == due(alone, others, deadline)
    assert not alone.due(others, "u", 10**9)
    assert not runs
    assert together.encode(runs) == b""


@settings(max_examples=400)
@given(RULES, st.lists(EVENTS, min_size=2, max_size=5), st.data())
def test_a_changed_set_goes_on(
    drawn: list[Any], logs: list[list[Any]], data: st.DataObject
) -> None:
    """Rules leave and come, together or one by one; those that stay keep their runs.

    The state of some sets is taken over as it is, that of others worked out anew; a user may
    miss some of the sets.
    """
    rules = rules_of(drawn)
    # The same again, but of another structure, or no chains for what they are asked beside.
    rules += [rule | {"within": "20ms", "state": "finish_old", "version": 2} for rule in rules]
    rules += [rule | {"timeouts": True} for rule in rules[: len(rules) // 2]]
    some = st.lists(st.sampled_from(rules), unique_by=lambda rule: rule["rule"])
    sets = [data.draw(some) for _ in logs]
    ways = [data.draw(st.sampled_from(["after", "after", "restored", "alone"])) for _ in logs]
    with patch.object(chain_state, "ROOM", data.draw(st.sampled_from([1, 64]))):
        assert _run_sets(sets, ways, logs) == _run_sets(sets, ["alone"] * len(sets), logs)


def _run_sets(
    sets: list[list[dict[str, Any]]], ways: list[str], logs: list[list[Any]]
) -> list[object]:
    """Give what one rule set after the other finds; a set without events never sees the user."""
    before: Machine | None = None
    events = iter(events_of([one for log in logs for one in log]))
    blob, clock = b"", None
    found: list[object] = []
    previous: list[dict[str, Any]] = []
    for specs, way, log in zip(sets, ways, logs, strict=True):
        before = machine = Machine.compile(
            specs, default_max_runs=None, chains=way != "alone", previous=previous,
            before=before if way == "after" else None,
            layout=None if before is None else before.layout,
        )  # fmt: skip
        previous = specs
        if log:
            runs = machine.decode(blob, clock)
            for _ in log:
                event = next(events)
                clock = event.event_time
                found.append(advance(machine, runs, event))
            found.append((machine.live_runs(runs, event.event_time), dict(machine.overflowed)))
            blob = machine.encode(runs)
    return found


def test_a_run_that_was_over_does_not_time_out_under_the_next_set() -> None:
    """Nobody asked for its time-out when its time was over, at an event that no rule takes."""
    step = {"event": "a", "where": None}
    pair, three, one = rules_of([([step] * n, 3, "no_skip", {}) for n in (2, 3, 1)])
    sets = [
        [],
        [three, pair | {"within": "20ms", "state": "finish_old", "version": 2}],
        [pair, one, three | {"timeouts": True}],
    ]
    logs = [[], [("a", 0, {}), ("b", 3, {})], [("a", 0, {})]]
    expected = _run_sets(sets, ["alone"] * 3, logs)
    for way in ("after", "restored"):
        assert _run_sets(sets, [way] * 3, logs) == expected


def test_finishing_rules_keep_their_runs() -> None:
    """The old version of a chain goes on to its end, the new one begins."""
    old = rules_of([([{"event": "a", "where": None}, {"event": "b", "where": None}], 40,
                     "skip_past_last_event", {})])  # fmt: skip
    new = [{**old[0], "version": 2, "state": "finish_old",
            "pattern": [{"step": "s0", "event": "a"}, {"step": "s1", "event": "c"}]}]  # fmt: skip
    first, second = Machine.compile(old), Machine.compile(new, previous=old)
    runs = Runs()
    events = events_of([("a", 1, {}), ("b", 1, {}), ("c", 1, {})])
    assert advance(first, runs, events[0]) == []
    runs = second.decode(first.encode(runs))
    assert [found[-1] for found in advance(second, runs, events[1])] == [{"s0": ["0"], "s1": ["1"]}]
    assert advance(second, runs, events[2]) == []


def test_what_stays_is_not_worked_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules come, go, finish, and are no chains any more: no user's events are looked at again."""
    pair = [{"event": "a", "where": None}, {"event": "b", "where": None}]
    rules = rules_of([(pair, 40 + number, "skip_past_last_event", {}) for number in range(6)])
    newer = [
        {**rules[1], "version": 2, "state": "finish_old", "pattern": [
            {"step": "s0", "event": "a"}, {"step": "s1", "event": "c"}]},
        {**rules[2], "timeouts": True},
        *rules[3:5],
        {**rules[5], "rule": "new"},
    ]  # fmt: skip
    found = []
    for chains in (True, False):
        first = Machine.compile(rules, chains=chains)
        third = Machine.compile(newer, chains=chains, before=first, previous=rules)
        events = events_of([("a", 1, {}), ("a", 1, {}), ("b", 1, {}), ("c", 1, {})])
        runs = Runs()
        advance(first, runs, events[0])
        blob = first.encode(runs)
        with monkeypatch.context() as patched:
            if chains:
                patched.setattr(codec, "unpack", None)
            runs = third.decode(blob)
        got = [advance(third, runs, event) for event in events[1:]]
        while (deadline := third.next_deadline(runs)) is not None:
            got.append(due(third, runs, deadline))
        found.append((got, third.unknown_runs))
    assert found[0] == found[1]
    names = [[one[1] for one in got] for got in found[0][0]]
    assert names == [[], ["r2", "r3", "r4", "new", "r1"], ["r1"]]
    assert found[0][1] == 2


def test_state_is_bounded_and_goes() -> None:
    """Events that no window reaches any more are forgotten, and so is a user who stays away."""
    [rule] = rules_of([([{"event": "a", "where": None}, {"event": "b", "where": None}], 1_000,
                        "skip_past_last_event", {})])  # fmt: skip
    machine = Machine.compile([rule], default_max_runs=None)
    runs = Runs()
    sizes = []
    for number in range(20_000):
        machine.advance(runs, "u", Event(str(number), "a", "u", 10 * number), 10 * number)
        sizes.append(len(machine.encode(runs)) if number % 100 == 0 else 0)
    assert max(sizes) < 3 * max(sizes[:300])
    deadline = machine.next_deadline(runs)
    assert deadline is not None
    machine.due(runs, "u", 10 * 20_000 + 2_000)
    assert not runs
    assert machine.next_deadline(runs) is None


def test_what_no_run_has_taken_is_forgotten() -> None:
    """However much happens within the window: a match ends the runs, and their events go."""
    rules = rules_of(
        [([{"event": "a", "where": f"props.n > {number}"},
           {"event": "b", "where": f"props.n > {number}"}], 10**6, "skip_past_last_event", {})
         for number in range(10)]
    )  # fmt: skip
    machine = Machine.compile(rules)
    runs = Runs()
    largest = found = 0
    for number in range(5_000):
        event = Event(str(number), "ab"[number % 3 == 0], "u", number, props={"n": number % 11})
        found += len(machine.advance(runs, "u", event, number))
        if number % 50 == 0:
            runs = machine.decode(machine.encode(runs))
        largest = max(largest, 0 if runs.chains is None else runs.chains.count)
    assert found > 5_000
    assert largest <= 65
    assert not machine.overflowed


def test_few_conditions_are_asked() -> None:
    """A thousand rules that compare one property: an event asks none of their conditions."""
    asked = 0

    class Counted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            nonlocal asked
            asked += 1
            return super().get(key, default)

    rules = rules_of(
        [([{"event": "a", "where": f"props.n > {number}"},
           {"event": "b", "where": f"props.n > {number}.5"}], 1_000, "skip_past_last_event", {})
         for number in range(1_000)]
    )  # fmt: skip
    machine = Machine.compile(rules)
    runs = Runs()
    found = 0
    for time, kind in enumerate("abab"):
        event = Event(str(time), kind, "u", time, props=Counted(n=990))
        found += len(machine.advance(runs, "u", event, time))
    assert asked == 4
    assert found == 2 * 990


def test_what_is_no_chain_is_run_one_by_one() -> None:
    """Too long, and beyond the room there is: the matches are found all the same."""
    long = {"rule": "long", "version": 1, "within": "1m",
            "pattern": [{"step": "a", "event": "a", "times": 20}]}  # fmt: skip
    short = rules_of([([{"event": "a", "where": None, "times": 3}], 1_000, "no_skip", {})])[0]
    many = [short | {"rule": f"r{number}"} for number in range(4_100)]
    machine = Machine.compile([*many, long])
    runs = Runs()
    found = []
    for number in range(20):
        found = advance(machine, runs, Event(str(number), "a", "u", number))
    assert len(found) == 4_100 + 1


def test_deadlines_of_runs_that_stay_packed_are_kept() -> None:
    """A chain that ends touches no run of another rule, nor the time when its window passes."""
    chain = rules_of([([{"event": "b", "where": None}, {"event": "c", "where": None}], 1_000,
                       "skip_past_last_event", {})])  # fmt: skip
    absence = {"rule": "absence", "version": 1, "within": "40ms",
               "pattern": [{"step": "a", "event": "a"},
                           {"step": "d", "event": "d", "then": "not_followed_by"}]}  # fmt: skip
    machine = Machine.compile([*chain, absence])
    runs = Runs()
    for event in events_of([("a", 0, {}), ("b", 1, {}), ("c", 1, {})]):
        runs = machine.decode(machine.encode(runs))
        advance(machine, runs, event)
    assert machine.next_deadline(runs) == 40
    runs = machine.decode(machine.encode(runs))
    assert [found[:2] for found in due(machine, runs, 40)] == [(40, "absence")]
