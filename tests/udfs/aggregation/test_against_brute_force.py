"""Aggregates against the definition, computed the slow way."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from udfs.aggregation import Plan, aggregate
from udfs.events.codec import from_dict

SPECS: list[dict[str, Any]] = [
    {"aggregate": f"{function}_{window}_{where}", "function": function, "value": "props.v"}
    | ({} if window == "all" else {"window": {"sliding": window}})
    | ({"where": "props.w", "event": ["a", "b"]} if where == "w" else {})
    for function in ("count", "sum", "last")
    for window in ("all", "20ms", "7ms")
    for where in ("w", "any")
] + [
    {"aggregate": "events", "function": "count", "event": "a", "window": {"sliding": "20ms"}},
    {"aggregate": "all_events", "function": "count"},
]

numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-3, 3)
    | st.floats(width=64)
    | st.sampled_from([2**53 + 1, 2**63 - 1, 0.1, 1e308, -1e308, 5e-324, -0.0])
)
values = numbers | numbers | st.none() | st.booleans() | st.text(max_size=2)
props = st.fixed_dictionaries(
    {}, optional={"v": values | st.lists(values, max_size=2), "w": st.booleans() | st.just(1)}
)


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of few users and types, out of order, some very late."""
    base, events = 1_000, []
    for i in range(draw(st.integers(0, 40))):
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


def is_number(value: Any) -> bool:
    """Tell numbers from booleans."""
    return type(value) in {int, float}


def brute(spec: dict[str, Any], events: list[dict[str, Any]], at: int) -> Any:
    """Compute one aggregate of one user's events by its definition."""
    rows = []
    for i, event in enumerate(events):
        value = event["props"].get("v") if "value" in spec else 1
        types = spec.get("event", event["event_type"])
        if event["event_type"] in types and (
            "where" not in spec or event["props"].get("w") is True
        ):
            rows.append((event["event_time"], i, value))
    if "window" in spec:
        d = int(spec["window"]["sliding"].removesuffix("ms"))
        rows = [row for row in rows if at - d < row[0] <= at]
    xs = [value for _, _, value in sorted(rows, key=lambda row: row[:2])]
    xs = [x for x in xs if x is not None and not (type(x) is float and not math.isfinite(x))]
    if spec["function"] == "count":
        return len(xs)
    if spec["function"] == "last":
        return xs[-1] if xs else None
    xs = [x for x in xs if is_number(x)]
    exact = sum((Fraction(x) for x in xs), Fraction(0))
    if all(type(x) is int for x in xs) and -(2**63) <= exact < 2**63:
        return int(exact)
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def same(got: Any, expected: Any) -> bool:
    """Compare with the kind: 1, 1.0 and True are not the same; NaN inside lists is itself."""
    return repr(got).replace("-0.0", "0.0") == repr(expected).replace("-0.0", "0.0")


@given(streams(), st.integers(0, 50))
def test_the_definition(events: list[dict[str, Any]], later_ms: int) -> None:
    """Every function over every window, with late and disordered events."""
    newest = max((event["event_time"] for event in events), default=0)
    for at in (None, newest + later_ms):
        result = aggregate(SPECS, events, at)
        assert set(result) == {event["user_id"] for event in events}
        for user, got in result.items():
            mine = [event for event in events if event["user_id"] == user]
            for spec in SPECS:
                expected = brute(spec, mine, newest if at is None else at)
                assert same(got[spec["aggregate"]], expected), (spec, got)


@given(streams(), st.sets(st.integers(0, 40)))
def test_storing_anywhere_changes_nothing(events: list[dict[str, Any]], cuts: set[int]) -> None:
    """Encoded and decoded after any event, state goes on as if it had stayed in memory."""
    plan = Plan.compile(SPECS)
    straight, stored = plan.decode(b""), plan.decode(b"")
    for i, fields in enumerate(events):
        event = from_dict(fields)
        plan.update(straight, event)
        plan.update(stored, event)
        if i in cuts:
            stored = plan.decode(plan.encode(stored))
    newest = max((event["event_time"] for event in events), default=0)
    left, right = (plan.read(state, plan.names, newest) for state in (straight, stored))
    assert same(left, right)
    assert plan.encode(straight) == plan.encode(stored)


@given(streams())
def test_reading_changes_nothing(events: list[dict[str, Any]]) -> None:
    """A plan that is read after every event ends with the same state and values."""
    plan = Plan.compile(SPECS)
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
    specs = [spec for spec in SPECS if spec["aggregate"] in {"sum_all_any", "sum_20ms_any"}]
    results = []
    for order in (xs, xs[::-1], sorted(xs)):
        events = [
            {"event_id": "1", "event_type": "a", "user_id": "u", "event_time": 0, "props": {"v": x}}
            for x in order
        ]
        results.append(repr(aggregate(specs, events)))
    assert results[0] == results[1] == results[2]
