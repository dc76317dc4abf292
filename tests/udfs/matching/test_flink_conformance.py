"""Flink CEP's own cases: the same matches at the same events."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from udfs.events.event import Event
from udfs.matching import Machine

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "conformance/flink_cep.jsonl").read_text().splitlines()
]
THEN = {
    "next": "next",
    "followedBy": "followed_by",
    "followedByAny": "followed_by_any",
    "notNext": "not_next",
    "notFollowedBy": "not_followed_by",
}
RAISES_IN_FLINK = {
    # The original calls throwExceptionOnMiss() and expects the exception; rules never raise.
    # Their twins "…WithoutException" are among the cases.
    "AfterMatchSkipITCase.testSkipToFirstNonExistentPosition",
    "AfterMatchSkipITCase.testSkipToLastNonExistentPosition",
    "AfterMatchSkipITCase.testSkipToFirstElementOfMatch",
}


def missing_feature(case: dict[str, Any]) -> str | None:
    """Give what a case needs that the DSL cannot say yet."""
    if case["test"] in RAISES_IN_FLINK:
        return "an exception out of a skip strategy"
    for part in case["pattern"]:
        if "group" in part:
            return "groups"
        for key in ("greedy", "until", "withinPrev", "timesWindow"):
            if part.get(key):
                return key
        if part["cond"] == "ITERATIVE":
            return "the text of an iterative condition"
    return None


def step_of(index: int, part: dict[str, Any]) -> dict[str, Any]:
    """Give the DSL's step; its condition is a property of the events."""
    step = {"step": f"s{index}", "where": f"props.s{index}"}
    if part["op"] != "begin":
        step["then"] = THEN[part["op"]]
    if part.get("times"):
        least, most = part["times"]
        step["times"] = f"{least}+" if most is None else f"{least}..{most}"
        step["inner"] = part.get("inner", "relaxed")
    if part.get("optional"):
        step["optional"] = True
    return step


def rule_of(case: dict[str, Any]) -> dict[str, Any]:
    """Give the DSL's rule of a case."""
    rule: dict[str, Any] = {"rule": "case", "version": 1}
    rule["pattern"] = [step_of(index, part) for index, part in enumerate(case["pattern"])]
    windows = [part["within"] for part in case["pattern"] if part.get("within")]
    if windows:
        rule["within"] = f"{min(windows)}ms"
    kind, name = re.fullmatch(r"(\w+)Strategy\{(?:patternName='(.*)')?\}", case["skip"]).groups()
    names = [part["name"] for part in case["pattern"]]
    rule["after_match"] = {
        "NoSkip": lambda: "no_skip",
        "SkipToNext": lambda: "skip_to_next",
        "SkipPastLast": lambda: "skip_past_last_event",
        "SkipToFirst": lambda: {"skip_to_first": f"s{names.index(name)}"},
        "SkipToLast": lambda: {"skip_to_last": f"s{names.index(name)}"},
    }[kind]()
    return rule


def content(events: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Give what tells events of a case apart."""
    return tuple((event["id"], event["name"], event["price"]) for event in events)


@pytest.mark.parametrize("case", CASES, ids=[case["test"] for case in CASES])
def test_gives_flinks_matches(case: dict[str, Any]) -> None:
    """The matches of a case, with the runs stored and read between any two events."""
    missing = missing_feature(case)
    if missing:
        pytest.skip(f"needs {missing}")
    machine = Machine.compile([rule_of(case)])
    blob = b""
    found = []
    for index, given in enumerate(case["events"]):
        time = max(0, given["ts"])
        props = {f"s{step}": bool(part["cond"][index]) for step, part in enumerate(case["pattern"])}
        event = Event(str(index), "any", "u", time, props=props)
        runs = machine.decode(blob)
        for match in machine.advance(runs, "u", event, time):
            steps = {
                name: content([case["events"][int(taken.event_id)] for taken in events])
                for name, events in match.steps.items()
            }
            found.append((index, sorted(steps.items())))
        blob = machine.encode(runs)
    names = {part["name"]: f"s{index}" for index, part in enumerate(case["pattern"])}
    expected = [
        (match["at"], sorted((names[name], content(events)) for name, events in match["m"].items()))
        for match in case["matches"]
    ]
    assert sorted(found) == sorted(expected)


def test_most_cases_are_covered() -> None:
    """The slice covers what it says: a case that falls out is noticed."""
    assert sum(missing_feature(case) is None for case in CASES) >= 134
