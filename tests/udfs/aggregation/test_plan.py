"""Plans: examples, shared state, changed specs, stored state, counters."""

from __future__ import annotations

import gc
import math
import weakref
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.udfs.aggregation.specs import all_specs
from udfs.aggregation import Plan, State, aggregate
from udfs.errors import InvalidEvent, StateIncompatible
from udfs.events.event import Event

GOLDEN = Path(__file__).parents[2] / "golden" / "aggregates_v1.hex"
GOLDEN_2 = GOLDEN.with_name("aggregates_v2.hex")
GOLDEN_3 = GOLDEN_2.with_name("aggregates_v3.hex")
HOUR_MS = 3_600_000

COUNT_1H = {"aggregate": "n", "event": "pay", "function": "count", "window": {"sliding": "1h"}}
SUM = {"aggregate": "s", "event": "pay", "function": "sum", "value": "props.x"}
SUM_1H = {**SUM, "aggregate": "s1", "window": {"sliding": "1h"}}
LAST = {"aggregate": "l", "function": "last", "value": "props.x"}
GOLDEN_SPECS = [
    one | {"aggregate": f"{one['aggregate']}_{unit}", "window": window}
    for one in all_specs()
    if one["window"] == "lifetime" and not one["aggregate"].endswith("_w")
    for unit, window in {
        "life": "lifetime",
        "slide": {"sliding": "1m"},
        "hop": {"sliding": "20m", "hop": "5m"},
        "day": {"tumbling": "1d", "timezone": "Asia/Kathmandu"},
        "session": {"session": "30s"},
        "last": {"last": 10},
    }.items()
]
GOLDEN_SPECS += [SUM_1H, {"aggregate": "long", "function": "count", "window": {"sliding": "1h"}}]
for _spec in GOLDEN_SPECS:
    if "value" in _spec:
        _spec["value"] = "props.x"
    if "event" in _spec:
        _spec["event"] = "pay"
    if "group_by" in _spec:
        _spec["group_by"] = "event_time % 3"


def pay(event_time: int, x: Any = 1, event_type: str = "pay") -> Event:
    """Make an event with one property."""
    return Event("e", event_type, "u", event_time, props={"x": x})


def after(plan: Plan, *events: Event) -> State:
    """Give the state of a new user after events."""
    state = plan.decode(b"")
    for event in events:
        plan.update(state, event)
    return state


def test_sliding_windows_are_open_at_the_old_end() -> None:
    """An event exactly one window old is out; one a millisecond younger is in."""
    plan = Plan.compile([COUNT_1H, SUM_1H])
    state = after(plan, pay(1_000))
    assert plan.read(state, plan.names, 1_000 + HOUR_MS - 1) == {"n": 1, "s1": 1}
    assert plan.read(state, plan.names, 1_000 + HOUR_MS) == {"n": 0, "s1": 0}


def test_nothing() -> None:
    """Values of a user without events."""
    plan = Plan.compile([COUNT_1H, SUM, SUM_1H, LAST])
    assert plan.read(plan.decode(b""), plan.names, 0) == {"n": 0, "s": 0, "s1": 0, "l": None}
    assert plan.encode(plan.decode(b"")) == b""
    assert aggregate([COUNT_1H], []) == {}


def test_last_takes_the_later_arrival_of_equal_times() -> None:
    """By event time first."""
    plan = Plan.compile([LAST])
    state = after(plan, pay(5, "a"), pay(7, "b"), pay(7, "c"), pay(6, "d"))
    assert plan.read(state, ["l"], 7) == {"l": "c"}


def test_integers_stay_exact_and_become_a_double_beyond_64_bits() -> None:
    """Beyond what a double can tell apart, and beyond what 64 bits hold; and back."""
    plan = Plan.compile([SUM, SUM_1H])
    state = after(plan, pay(1, 2**53), pay(1, 1))
    assert plan.read(state, ["s", "s1"], 1) == {"s": 2**53 + 1, "s1": 2**53 + 1}
    assert plan.counters["sum_beyond_64_bits"] == 0
    state = after(plan, pay(1, 2**63 - 1), pay(1, 1))
    values = plan.read(plan.decode(plan.encode(state)), ["s", "s1"], 1)
    assert values == {"s": 2.0**63, "s1": 2.0**63}
    assert {type(value) for value in values.values()} == {float}
    assert plan.counters["sum_beyond_64_bits"] == 2
    plan.update(state, pay(1, -1))
    assert plan.read(state, ["s", "s1"], 1) == {"s": 2**63 - 1, "s1": 2**63 - 1}


def test_integers_and_doubles_mix_without_loss() -> None:
    """The sum is rounded once."""
    plan = Plan.compile([SUM, SUM_1H])
    state = after(plan, pay(1, 2**53 + 1), pay(1, 0.5), pay(1, -(2**53)))
    assert plan.read(state, ["s", "s1"], 1) == {"s": 1.5, "s1": 1.5}


def test_what_is_passed_over_is_counted() -> None:
    """Null in silence, the rest by reason."""
    specs = [SUM, {**SUM, "aggregate": "w", "where": "props.x > 1"}]
    plan = Plan.compile(specs)
    for x in (None, True, "1", [1], math.nan, math.inf, 2):
        plan.update(plan.decode(b""), pay(1, x))
    plan.update(plan.decode(b""), Event("e", "pay", "u", 1))
    counters = plan.counters
    assert counters["value_errors"] == 1
    assert counters["not_finite"] == 2  # once an event, whatever the number of conditions
    assert counters["wrong_kind"] == 3
    assert counters["where_errors"] == 5


def test_equal_structures_share_a_section() -> None:
    """Names, versions and the order of event types make no difference."""
    specs = [
        {**SUM, "event": ["a", "b"]},
        {**SUM, "aggregate": "other", "version": 7, "event": ["b", "a", "b"], "window": "lifetime"},
    ]
    plan = Plan.compile(specs)
    state = after(plan, pay(1, 3, "a"))
    assert len(state.entries) == 1
    assert plan.read(state, plan.names, 1) == {"s": 3, "other": 3}


def test_a_changed_spec_leaves_the_others_alone() -> None:
    """Sections follow the structure: a new name keeps the value, a new value starts empty."""
    blob = Plan.compile([SUM, LAST, COUNT_1H]).encode(
        after(Plan.compile([SUM, LAST, COUNT_1H]), pay(1, 3), pay(2, 4))
    )
    changed = Plan.compile([{**SUM, "aggregate": "renamed"}, {**LAST, "value": "props.x + 1"}])
    state = changed.decode(blob)
    assert changed.read(state, changed.names, 2) == {"renamed": 7, "l": None}
    assert len(state.entries) == 1


def test_one_index_over_event_types() -> None:
    """The plan says which types concern it."""
    assert Plan.compile([COUNT_1H, SUM]).event_types == {"pay"}
    assert Plan.compile([COUNT_1H, LAST]).event_types is None
    assert Plan.compile([]).event_types == frozenset()
    plan = Plan.compile([COUNT_1H, LAST])
    state = after(plan, pay(1, 5, "other"))
    assert plan.read(state, plan.names, 1) == {"n": 0, "l": 5}


def test_retention() -> None:
    """The longest window; none with a lifetime value."""
    two_days = {**COUNT_1H, "aggregate": "n2", "window": {"sliding": "2d"}}
    assert Plan.compile([COUNT_1H, two_days]).retention_ms == 48 * HOUR_MS
    assert Plan.compile([COUNT_1H, LAST]).retention_ms is None
    assert Plan.compile([]).retention_ms == 0


def test_reading_before_the_newest_event_is_refused() -> None:
    """What has left the windows since then is gone."""
    plan = Plan.compile([COUNT_1H])
    state = after(plan, pay(10), pay(4))
    with pytest.raises(ValueError, match="up to 10"):
        plan.read(state, ["n"], 9)
    fields = {"event_id": "1", "event_type": "pay", "user_id": "u", "event_time": 10}
    with pytest.raises(ValueError, match="before the newest event"):
        aggregate([COUNT_1H], [fields], at=9)


def test_unknown_names_are_key_errors() -> None:
    """A flow is checked against the plan before it runs."""
    plan = Plan.compile([COUNT_1H])
    with pytest.raises(KeyError):
        plan.read(plan.decode(b""), ["x"], 0)


def test_events_of_a_list_are_checked() -> None:
    """The fault names the place in the list."""
    with pytest.raises(InvalidEvent) as caught:
        aggregate([COUNT_1H], [{"event_id": "1"}])
    assert caught.value.where == "events[0].event_type"


@pytest.mark.parametrize("spec", [COUNT_1H, SUM_1H], ids=["count", "sum"])
def test_tails_are_trimmed(spec: dict[str, Any]) -> None:
    """A stream of any length keeps about a window, also with late events in it."""
    plan = Plan.compile([spec])
    state = plan.decode(b"")
    longest = 0
    for n in range(3_000):
        late_ms = 30 * 60_000 if n % 3 == 0 else 0
        plan.update(state, pay(10**9 + n * 60_000 - late_ms, 1 if n % 2 else 0.5))
        longest = max(longest, len(plan.encode(state)))
    assert longest < 40 + 14 * 60 * 9 / 8
    within = sum(2_999 - n + (30 if n % 3 == 0 else 0) < 60 for n in range(3_000))
    if spec is COUNT_1H:
        assert plan.read(state, ["n"], state.newest) == {"n": within}


def test_golden_blob_of_version_1() -> None:
    """State that version 1 wrote is taken over; what is counted from then on adds to it."""
    plan = Plan.compile([COUNT_1H, SUM, SUM_1H, LAST])
    blob = bytes.fromhex(GOLDEN.read_text(encoding="ascii"))
    state = plan.decode(blob)
    expected = {
        "n": 3,
        "s": 2.0**64 + 2.0**12,
        "s1": 2.0**64 + 2.0**12,
        "l": {"sku": ["a", None, 1.5]},
    }
    assert plan.read(state, plan.names, 1_700_000_000_000) == expected
    again = plan.decode(plan.encode(state))
    assert plan.read(again, plan.names, 1_700_000_000_000) == expected
    plan.update(again, pay(1_700_000_000_001, -(2**63 - 1)))
    plan.update(again, pay(1_700_000_000_001, -(2**63 - 1)))
    assert plan.read(again, plan.names, 1_700_000_000_001) == {
        "n": 5, "s": 4098.25, "s1": 4098.25, "l": -(2**63 - 1),
    }  # fmt: skip


def test_an_average_does_not_take_over_a_sum_of_version_1() -> None:
    """Of how many values it was the sum is not known."""
    plan = Plan.compile([SUM, {**SUM, "aggregate": "a", "function": "avg"}])
    state = plan.decode(bytes.fromhex(GOLDEN.read_text(encoding="ascii")))
    assert plan.read(state, plan.names, 1_700_000_000_000) == {"s": 2.0**64 + 2.0**12, "a": None}


def test_a_plan_is_no_cyclic_garbage() -> None:
    """A replaced one goes with the last who holds it: a worker has no time to look for it."""
    specs = [SUM, SUM_1H, {"aggregate": "d", "derive": "s + s1"},
             {**SUM, "aggregate": "g", "group_by": "props.x"}]  # fmt: skip
    gc.collect()
    gc.disable()
    try:
        plan = Plan.compile(specs)
        plan.read(after(plan, pay(1)), plan.names, 1)
        gone = [weakref.ref(one) for one in (plan, plan.parts)]
        del plan
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("path", [GOLDEN_2, GOLDEN_3], ids=["2", "3"])
def test_golden_blobs(path: Path) -> None:
    """State of this version is read, and written again byte for byte; that of the last is read."""
    plan = Plan.compile(GOLDEN_SPECS)
    blob = bytes.fromhex(path.read_text(encoding="ascii"))
    state = plan.decode(blob)
    values = plan.read(state, plan.names, state.newest)
    assert msgspec.json.decode(msgspec.json.encode(values)) == msgspec.json.decode(
        GOLDEN_2.with_suffix(".json").read_bytes()
    )
    if path == GOLDEN_3:
        assert plan.encode(state) == blob
        assert plan.encode(after(plan, *golden_events_2())) == blob


def golden_events_2() -> list[Event]:
    """Give the events of the golden blobs of versions 2 and 3: tiles, and a block of them."""
    t = 1_700_000_000_000
    events = [pay(t + n * 311, (n * 37 % 101) / 4 if n % 3 else n % 7) for n in range(4_300)]
    late = [pay(t + n * 11_117 - 60_000, "text" if n % 2 else 12.34) for n in range(100)]
    return [*events[:4_000], *late, *events[4_000:]]


def golden_events() -> list[Event]:
    """Give the events that the golden blob holds."""
    t = 1_700_000_000_000
    return [
        pay(t - 5, 2**63 - 1),
        pay(t - 9, 2**63 - 1),
        pay(t - 2, 4098.25),
        pay(t, {"sku": ["a", None, 1.5]}, "view"),
    ]


@pytest.mark.parametrize(
    "blob", [b"\x01", b"\x01\xc1", b"\x01\x93\x01", b"\x02", b"\x03", b"\x03\x80"]
)
def test_damaged_state_is_named(blob: bytes) -> None:
    """Bytes that are no state are refused, and not taken for an empty one."""
    with pytest.raises(StateIncompatible, match="damaged"):
        Plan.compile([SUM]).decode(blob)


def test_state_of_a_later_version_is_refused() -> None:
    """The message says what to restore with."""
    with pytest.raises(StateIncompatible, match="version 4, this code reads version 3"):
        Plan.compile([SUM]).decode(b"\x04\x90")
