"""Every function over every window against the definition, computed the slow way."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.udfs.aggregation.brute import brute, close, moment, scipy_moment
from tests.udfs.aggregation.specs import all_specs
from udfs.aggregation import Plan, aggregate
from udfs.aggregation.sifting import Sifter
from udfs.events.codec import from_dict

SPECS = all_specs()

numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-3, 3)
    | st.sampled_from([1.5, -0.25, 2.0, 12.34])
    | st.floats(width=64)
    | st.sampled_from([2**53 + 1, 2**63 - 1, 0.1, 1e308, -1e308, 5e-324, -0.0])
)
values = (
    numbers
    | st.integers(0, 3)
    | st.none()
    | st.booleans()
    | st.sampled_from(["", "a", "b", "1"])
    | st.lists(st.integers(0, 2), max_size=2)
)
props = st.fixed_dictionaries(
    {},
    optional={
        "v": values,
        "w": st.booleans() | st.just(1),
        "g": st.sampled_from(["x", "y", None]),
    },
)


@st.composite
def streams(draw: st.DrawFn, most: int = 40) -> list[dict[str, Any]]:
    """Events of few users and types, out of order, some very late."""
    base, events = 1_000, []
    for i in range(draw(st.integers(0, most))):
        base += draw(st.integers(0, 6))
        events.append(
            {
                "event_id": str(i),
                "event_type": draw(st.sampled_from("aabc")),
                "user_id": draw(st.sampled_from("uuv")),
                "event_time": max(0, base - draw(st.sampled_from([0, 0, 0, 3, 15, 40, 900]))),
                "props": draw(props),
            }
        )
    return events


def assert_right(
    got: dict[str, Any], specs: list[dict[str, Any]], events: list[dict[str, Any]], at: int
) -> None:
    """Compare one user's values with the definition."""
    for spec in specs:
        expected = brute(spec, events, at)
        value = got[spec["aggregate"]]
        assert close(value, expected), (spec, value, expected)
        if spec["function"] == "sum" and "group_by" not in spec:
            assert type(value) is type(expected), (spec, value, expected)


@given(streams(), st.integers(0, 50), st.integers(0, 9))
def test_the_definition(events: list[dict[str, Any]], later_ms: int, part: int) -> None:
    """Values of a list of events, read at its end or later; some of the specs at a time."""
    specs = SPECS[part::10]
    newest = max((event["event_time"] for event in events), default=0)
    for at in (None, newest + later_ms):
        result = aggregate(specs, events, at)
        assert set(result) == {event["user_id"] for event in events}
        for user, got in result.items():
            mine = [event for event in events if event["user_id"] == user]
            assert_right(got, specs, mine, newest if at is None else at)


@settings(max_examples=60)
@given(streams(most=25), st.data())
def test_at_any_moment(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Read in mid-stream, and stored and read back anywhere."""
    in_mid_stream(events, data)


@pytest.mark.usefixtures("tiny_tiles")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams(most=60), st.data())
def test_with_tiles(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """The same where few events are much, so that windows go through tiles and blocks."""
    in_mid_stream(events, data)


PLAN = Plan.compile(SPECS)


def in_mid_stream(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Take events in one by one; store, read back and read values here and there."""
    plan = PLAN
    state, seen = plan.decode(b""), []
    for fields in events:
        event = from_dict(fields | {"user_id": "u"})
        plan.update(state, event)
        seen.append(fields)
        if data.draw(st.booleans()):
            state = plan.decode(plan.encode(state))
        if data.draw(st.sampled_from([False, False, True])):
            at = state.newest + data.draw(st.sampled_from([0, 0, 1, 3, 8, 30]))
            assert_right(plan.read(state, plan.names, at), SPECS, seen, at)
    Sifter(plan.parts.streams).tidy(state)
    at = max(state.newest, 0)
    assert_right(plan.read(state, plan.names, at), SPECS, seen, at)


@given(streams())
def test_reading_changes_nothing(events: list[dict[str, Any]]) -> None:
    """A plan that is read after every event ends with the same state."""
    plan = PLAN
    read, silent = plan.decode(b""), plan.decode(b"")
    for fields in events:
        event = from_dict(fields)
        plan.update(read, event)
        plan.update(silent, event)
        plan.read(read, plan.names, read.newest + 1_000_000)
    assert plan.encode(read) == plan.encode(silent)


@given(st.lists(numbers.filter(lambda x: type(x) is int or math.isfinite(x)), max_size=12))
@example([1e308, 1e308, -1e308])
@example([2**63 - 1, 1, -1])
@example([1e16, 1, 1, -1e16])
@example([2**53 + 1, 0.0])
def test_sums_do_not_depend_on_the_order(xs: list[int | float]) -> None:
    """Forwards, backwards and sorted give the same value to the last bit."""
    specs = [spec for spec in SPECS if spec["aggregate"] in {"sum_0", "sum_1", "sum_3"}]
    results = []
    for order in (xs, xs[::-1], sorted(xs)):
        events = [
            {"event_id": "1", "event_type": "a", "user_id": "u", "event_time": 0, "props": {"v": x}}
            for x in order
        ]
        results.append(repr(aggregate(specs, events)))
    assert results[0] == results[1] == results[2]


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 2)), min_size=2, max_size=50))
def test_moments_are_those_of_scipy(xs: list[float]) -> None:
    """Where the values are not nearly equal; there scipy loses what the exact way keeps."""
    events = [
        {"event_id": "1", "event_type": "a", "user_id": "u", "event_time": 0, "props": {"v": x}}
        for x in xs
    ]
    names = ("variance", "stddev", "skew", "kurtosis")
    specs = [spec for spec in SPECS if spec["aggregate"].removesuffix("_0") in names]
    got = aggregate(specs, events)["u"]
    spread = moment("stddev", xs) or 0.0
    if spread == 0.0 or spread < 1e-3 * max(map(abs, xs)):
        return
    for name in names:
        expected = scipy_moment(name, xs)
        assert math.isclose(got[f"{name}_0"], expected or 0.0, rel_tol=1e-9, abs_tol=1e-9)
