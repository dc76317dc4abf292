"""What is merged gives what each spec gives alone; changed sets keep what stays."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.udfs.aggregation.brute import close
from tests.udfs.aggregation.specs import FUNCTIONS, spec
from udfs.aggregation import Plan
from udfs.events.codec import from_dict
from udfs.events.event import Event

_WINDOWS: list[Any] = [
    "lifetime",
    *({"sliding": d} for d in ("5ms", "20ms", "60ms", "1s")),
    {"sliding": "20ms", "hop": "4ms"},
    {"sliding": "60ms", "hop": "20ms"},
    {"tumbling": "25ms"},
    {"tumbling": "1d", "timezone": "Europe/Berlin"},
    {"session": "3ms"},
    {"last": 2},
    {"last": 40},
]
_CONDITIONS = ("props.w", "props.w == true", "!props.w", "props.n > 1", "props.n  > 1", "props.n>2")


def draw_specs(draw: random.Random, most: int) -> list[dict[str, Any]]:
    """Draw specs, many of them nearly alike."""
    made = []
    for i in range(draw.randint(1, most)):
        more: dict[str, Any] = {}
        if draw.random() < 0.5:
            more["where"] = draw.choice(_CONDITIONS)
        if draw.random() < 0.6:
            more["event"] = draw.choice(["a", ["a", "b"], ["b", "a"], "c"])
        if draw.random() < 0.2:
            more["group_by"] = draw.choice(["props.g", "props.n"])
            if draw.random() < 0.3:
                more["max_groups"] = 2
        more["value"] = draw.choice(["props.v", "props.v", "props.n", "props.n + 1"])
        more["tier"] = draw.choice(["hot", "normal", "cold"])
        made.append(spec(f"s{i}", draw.choice(FUNCTIONS), draw.choice(_WINDOWS), **more))
    return made


def draw_events(draw: random.Random, count: int) -> list[Event]:
    """Draw events, some late, with values of all kinds."""
    now, found = 1_000, []
    values = [0, 1, 2, 2.0, 2.5, -7, 1e300, "a", "b", None, True, [1, 2], 2**63 - 1]
    for i in range(count):
        now += draw.choice([0, 1, 1, 2, 9])
        found.append(
            from_dict(
                {
                    "event_id": str(i),
                    "event_type": draw.choice("aabc"),
                    "user_id": "u",
                    "event_time": max(0, now - draw.choice([0, 0, 0, 0, 2, 30, 500])),
                    "props": {
                        "v": draw.choice(values),
                        "n": draw.randint(0, 4),
                        "w": draw.choice([True, False]),
                        "g": draw.choice(["x", "y", "z"]),
                    },
                }
            )
        )
    return found


def check_set(seed: int, most: int) -> None:
    """Compare one random set with each of its specs alone, at random times."""
    draw = random.Random(seed)
    specs = draw_specs(draw, most)
    plan = Plan.compile(specs)
    alone = [Plan.compile([one]) for one in specs]
    merged, single = plan.decode(b""), [one.decode(b"") for one in alone]
    for event in draw_events(draw, 120):
        plan.update(merged, event)
        for one, state in zip(alone, single, strict=True):
            one.update(state, event)
        if draw.random() < 0.1:
            merged = plan.decode(plan.encode(merged))
        if draw.random() < 0.1:
            at = max(merged.newest, 0) + draw.choice([0, 1, 50])
            values = plan.read(merged, plan.names, at)
            for one, state in zip(alone, single, strict=True):
                name = one.names[0]
                expected = one.read(state, [name], at)[name]
                assert close(values[name], expected), (seed, name, values[name], expected)


@pytest.mark.parametrize("seed", range(12))
def test_merged_is_each_alone(seed: int) -> None:
    """A dozen sets; `test_many_sets` takes 500."""
    check_set(seed, 40)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_many_sets(pytestconfig: pytest.Config) -> None:
    """500 random sets of up to 100 specs, new ones each time unless a seed is given."""
    seed = pytestconfig.getoption("--seed")
    if seed is None:
        seed = random.SystemRandom().randrange(10**9)
    for number in range(500):
        check_set(seed + number, 100)


@pytest.mark.parametrize("seed", range(12))
def test_changes_in_mid_stream(seed: int) -> None:
    """Adding, removing and changing specs leaves the values of the others as they are."""
    draw = random.Random(seed)
    pool = draw_specs(draw, 60)
    stays = pool[: len(pool) // 2]
    alone = Plan.compile(stays)
    single = alone.decode(b"")
    plan = Plan.compile(pool)
    state = plan.decode(b"")
    for i, event in enumerate(draw_events(draw, 150)):
        if i % 30 == 29:
            rest = [one for one in pool[len(stays) :] if draw.random() < 0.5]
            new = [one | {"aggregate": f"new{i}"} for one in draw_specs(draw, 10)[:1]]
            mixed = [*stays, *rest, *new]
            draw.shuffle(mixed)
            blob = plan.encode(state)
            plan = Plan.compile(mixed)
            state = plan.decode(blob)
        plan.update(state, event)
        alone.update(single, event)
        at = max(single.newest, state.newest, 0)
        got = plan.read(state, alone.names, at)
        expected = alone.read(single, alone.names, at)
        for name in alone.names:
            assert close(got[name], expected[name]), (seed, i, name)


def test_a_new_function_on_an_old_stream_is_complete() -> None:
    """Raw entries are there already: nothing has to be waited for."""
    old = spec("s", "sum", {"sliding": "1s"})
    plan = Plan.compile([old])
    state = plan.decode(b"")
    for i in range(500):
        plan.update(state, Event(str(i), "a", "u", i, props={"v": i}))
    new = [spec("a", "avg", {"sliding": "1s"}), spec("v", "variance", {"sliding": "100ms"})]
    both = Plan.compile([old, *new])
    read = both.decode(plan.encode(state))
    assert both.read(read, ["s", "a", "v"], 499) == {"s": 124_750, "a": 249.5, "v": 833.25}
