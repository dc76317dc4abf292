"""Runs that never branch, moved where they stand, against the general queues."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis import given

from udfs.events.event import Event
from udfs.matching import Match
from udfs.matching.machine import Machine

SKIPS = ["skip_past_last_event", "skip_to_next"]


def rule(skip: str, steps: int, *, window: bool, timeouts: bool, cap: int | None) -> dict[str, Any]:
    """A chain of steps, each for one event type and some values of ``n``."""
    given: dict[str, Any] = {
        "rule": "r", "version": 1, "after_match": skip,
        "pattern": [
            {"step": f"s{i}", "event": "abc"[i], "where": f"props.n >= {i}"}
            | ({"then": "followed_by"} if i else {})
            for i in range(steps)
        ],
    }  # fmt: skip
    if window:
        given["within"] = "5s"
    if window and timeouts:
        given["timeouts"] = True
    if cap is not None:
        given["max_runs"] = cap
    return given


def generally(machine: Machine) -> Machine:
    """Make a machine use the queues of Flink for every rule."""
    machine.rules = tuple(msgspec.structs.replace(r, in_line=False) for r in machine.rules)
    machine._by_hash = {r.structure_hash: r for r in machine.rules}
    return machine


def told(matches: list[Match]) -> list[tuple[Any, ...]]:
    """What there is to compare of matches."""
    return [
        (m.kind, m.at, {step: [e.event_id for e in events] for step, events in m.steps.items()})
        for m in matches
    ]


@given(
    st.builds(
        rule, st.sampled_from(SKIPS), st.integers(1, 3), window=st.booleans(),
        timeouts=st.booleans(), cap=st.none() | st.integers(1, 4),
    ),
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.integers(0, 3_000), st.booleans()),
        max_size=40,
    ),
)  # fmt: skip
def test_as_the_general_queues(spec: dict[str, Any], log: list[tuple[str, int, int, bool]]) -> None:
    """Matches, time-outs, deadlines and dropped runs, also across states written by the other."""
    fast, general = Machine.compile([spec]), generally(Machine.compile([spec]))
    assert fast.rules[0].in_line
    runs, others = fast.decode(b""), general.decode(b"")
    now = 1_000
    for number, (kind, n, later, stored) in enumerate(log):
        now += later
        event = Event(f"e{number}", kind, "u", now, props={"n": n})
        assert told(fast.advance(runs, "u", event, now)) == told(
            general.advance(others, "u", event, now)
        )
        assert fast.next_deadline(runs) == general.next_deadline(others)
        assert bool(runs) == bool(others)
        if stored:
            runs, others = fast.decode(general.encode(others)), general.decode(fast.encode(runs))
    assert told(fast.due(runs, "u", now + 60_000)) == told(general.due(others, "u", now + 60_000))
    assert fast.overflowed == general.overflowed
