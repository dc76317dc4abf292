"""From a case that fails to a small one that still does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.udfs.matching.differential.cases import Case

_DROPPED = (
    "optional", "greedy", "until", "repeat_within", "gap_max", "inner", "times",
    "above", "counted", "rising", "then",
)  # fmt: skip


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Give a small case.

    Args:
        case: One that fails.
        fails: Whether another one does.
    """
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(case):
            if fails(candidate):
                case, smaller = candidate, True
                break
    return case


def _simpler(case: Case) -> Iterator[Case]:
    for index in range(len(case["events"])):
        if len(case["events"]) > 1:
            events = case["events"][:index] + case["events"][index + 1 :]
            yield {**case, "events": events, "end": max(case["end"], events[-1]["t"])}
    for change in ({"skip": "no_skip"}, {"timeouts": False}, {"within": None}):
        if any(case[key] != value for key, value in change.items()):
            yield {**case, **change}
    for pattern in _simpler_steps(case["pattern"]):
        yield {**case, "pattern": pattern}
    for index, event in enumerate(case["events"]):
        for key in ("t", "x"):
            before = case["events"][index - 1]["t"] if index and key == "t" else 0
            if event[key] > before:
                changed = copy.deepcopy(case)
                changed["events"][index][key] -= 1
                yield changed


def _simpler_steps(steps: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for index, step in enumerate(steps):
        rest = steps[:index], steps[index + 1 :]
        if len(steps) > 1 and (index or "then" not in steps[1]):
            yield [*rest[0], *rest[1]]
        elif len(steps) > 1:
            follower = {key: value for key, value in steps[1].items() if key != "then"}
            yield [follower, *steps[2:]]
        for simpler in _simpler_step(step):
            yield [*rest[0], simpler, *rest[1]]


def _simpler_step(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in _DROPPED:
        if key == "then" and step.get("then") in (None, "followed_by"):
            continue
        if key in step:
            dropped = {name: value for name, value in step.items() if name != key}
            yield {**dropped, "then": "followed_by"} if key == "then" else dropped
        if key in step.get("cond", {}):
            condition = {name: value for name, value in step["cond"].items() if name != key}
            yield {**step, "cond": condition}
    if step.get("times"):
        least, most = step["times"]
        if least > 1:
            yield {**step, "times": [least - 1, most]}
        if most is not None and most > max(least, 1):
            yield {**step, "times": [least, most - 1]}
    for inner in _simpler_steps(step.get("group", [])):
        yield {**step, "group": inner}
