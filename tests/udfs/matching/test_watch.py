"""Shadow, fuse and accounts."""

from __future__ import annotations

from itertools import count
from typing import Any

from udfs.events.event import Event
from udfs.matching import Machine, Runs, match

RULE: dict[str, Any] = {"rule": "r", "version": 1, "pattern": [{"step": "a", "event": "a"}]}


def feed(machine: Machine, *times: int) -> list[int]:
    """Process an event a user at each time, ms; give the times of the matches."""
    return [
        one.at
        for number, time in enumerate(times)
        for one in machine.advance(Runs(), f"u{number}", Event("e", "a", "u", time), time)
    ]


def test_shadow_counts_and_samples() -> None:
    """Nothing is handed out; the latest matches can be looked at."""
    machine = Machine.compile([RULE | {"mode": "shadow"}, RULE | {"rule": "live"}])
    assert feed(machine, *range(7)) == list(range(7))
    assert machine.watch is not None
    shadowed, live = machine.watch.found["r"], machine.watch.found["live"]
    assert (shadowed.shadowed, shadowed.live) == (7, 0)
    assert [one.at for one in shadowed.samples] == [2, 3, 4, 5, 6]
    assert (live.shadowed, live.live) == (0, 7)


def test_the_fuse_turns_a_rule_to_shadow_and_alerts_once() -> None:
    """From the match on that is one too many in its minute; a new machine begins anew."""
    rule = RULE | {"max_matches_per_minute": 2}
    machine = Machine.compile([rule])
    assert feed(machine, 0, 59_999, 60_000, 60_001) == [0, 59_999, 60_000, 60_001]
    assert machine.watch is not None
    assert machine.watch.take_alerts() == []
    assert feed(machine, 60_002, 60_003, 999_999) == []
    assert machine.watch.found["r"].tripped_at == 60_002
    assert machine.watch.take_alerts() == [("r", 60_002)]
    assert machine.watch.take_alerts() == []
    assert feed(Machine.compile([rule]), 60_002) == [60_002]


def test_the_fuse_remembers_few_minutes() -> None:
    """Users are at different times, but not at all times."""
    machine = Machine.compile([RULE | {"max_matches_per_minute": 1}])
    minutes = [60_000 * minute for minute in range(50)]
    assert feed(machine, *minutes) == minutes
    assert feed(machine, minutes[0]) == [0]
    assert feed(machine, minutes[-1]) == []


def test_match_gives_everything() -> None:
    """Nobody acts on what it gives."""
    event = {"event_id": "e", "event_type": "a", "user_id": "u", "event_time": 5}
    rule = RULE | {"mode": "shadow", "max_matches_per_minute": 1}
    assert len(match([rule], [event, event, event])) == 3


def test_costs_are_shared_out_by_evaluations() -> None:
    """One event in so many is measured; a rule with more runs bears more of its time."""
    steps = [{"step": "a", "event": "a"}, {"step": "b", "event": "b"}]
    rules = [
        {"rule": "many", "version": 1, "pattern": steps},
        {"rule": "queued", "version": 1, "pattern": steps, "after_match": "skip_to_next"},
        {"rule": "idle", "version": 1, "pattern": [{"step": "z", "event": "z"}]},
    ]
    machine = Machine.compile(rules)
    ticks = count()
    machine.sample(lambda: float(next(ticks)), every=2)
    runs = Runs()
    for number in range(6):
        machine.advance(runs, "u", Event(str(number), "a", "u", number), number)
    machine.advance(runs, "u", Event("6", "b", "u", 6), 6)
    machine.advance(runs, "u", Event("7", "z", "u", 7), 7)
    assert machine.sampler is not None
    assert machine.sampler.events == 4
    costs = machine.sampler.costs
    assert sum(cost.seconds for cost in costs.values()) == 4.0
    assert costs["idle"].evaluations == 1
    assert costs["many"].evaluations == 3
    assert costs["queued"].runs == costs["many"].runs == 1 + 3 + 5


def test_a_fuse_goes_where_it_went_before() -> None:
    """What it let through in a batch is let through again, and nothing is counted twice."""
    rule = RULE | {"max_matches_per_minute": 2}
    first, again = Machine.compile([rule]), Machine.compile([rule])
    assert first.watch is not None
    assert again.watch is not None
    for times, live, kept_back in (
        ((0,), [0], {}),
        ((1, 2, 3), [1], {"r": 1}),
        ((4, 5), [], {"r": 0}),
    ):
        first.watch.begin()
        assert feed(first, *times) == live
        assert first.watch.kept_back() == kept_back
        again.watch.follow(kept_back)
        assert feed(again, *times) == live
    again.watch.follow(None)
    found = again.watch.found["r"]
    assert (found.live, found.shadowed, found.tripped_at) == (0, 0, None)
    assert again.watch.take_alerts() == []
    assert feed(again, 6, 7, 8) == [6, 7]
