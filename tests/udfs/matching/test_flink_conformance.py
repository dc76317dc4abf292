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
NOT_RAISED = {
    # The original calls throwExceptionOnMiss() and expects an exception; rules never raise, so
    # the match leaves as it does in Flink without that call.
    "AfterMatchSkipITCase.testSkipToFirstNonExistentPosition": [(1, [("a", 0), ("c", 1)])],
    "AfterMatchSkipITCase.testSkipToLastNonExistentPosition": [(1, [("a", 0), ("c", 1)])],
    "AfterMatchSkipITCase.testSkipToFirstElementOfMatch": [(0, [("a", 0)])],
}


def total(step: str) -> str:
    """Give a text that adds up the prices of the first four events of a step."""
    prices = (f"(size({step}) > {i} ? {step}[{i}].props.price : 0.0)" for i in range(4))
    return " + ".join(prices)


# The cases hold no text of iterative conditions; these say what Flink's own Java code says.
ITERATIVE = {
    "AfterMatchSkipITCase.testSkipBeforeOtherAlreadyCompleted":
        "props.name.contains('b') && a[0].props.price == props.price",
    "IterativeConditionsITCase.testIterativeWithLoopingStartingCombination":
        f"props.name == 'start' && {total('start')} + props.price < 5.0",
    "IterativeConditionsITCase.testIterativeWithLoopingStartingEager":
        f"props.name == 'start' && {total('start')} + props.price < 5.0",
    "IterativeConditionsITCase.testIterativeWithABACPattern":
        f"props.name == 'start' && {total('middle2')} + props.price <= 5.0",
    "IterativeConditionsITCase.testIterativeWithPrevPatternDependency":
        f"props.name == 'end' && {total('start')} >= 2.0",
    "IterativeConditionsITCase.testIterativeWithPrevPatternDependencyAfterBranching":
        f"props.name == 'end' && {total('start')} >= 2.0",
    "IterativeConditionsITCase.testIterativeWithBranchingPatternEager":
        f"props.name.startsWith('foo') && {total('middle')} + props.price < 5.0",
    "IterativeConditionsITCase.testIterativeWithBranchingPatternCombinations":
        f"props.name.startsWith('foo') && {total('middle')} + props.price < 5.0",
    "NFAIterativeConditionTimeContextTest.testEventTimestamp": "event_time == 3",
    "NFAIterativeConditionTimeContextTest.testCurrentProcessingTime": "event_time == 8",
    "SameElementITCase.testIterativeConditionWSameElement": "size(middle) == 2",
    "SameElementITCase.testClearingBufferWithUntilAtTheEnd": "size(d) == 3",
    "UntilConditionITCase.testIterativeUntilConditionOneOrMore": f"{total('middle')} == 6.0",
    "UntilConditionITCase.testIterativeUntilConditionZeroOrMore": f"{total('middle')} == 6.0",
}  # fmt: skip


class Translation:
    """A case as a rule of the DSL; every condition becomes a property of the events.

    Attributes:
        rule: The rule.
        props: Properties of the events, by position.
    """

    def __init__(self, case: dict[str, Any]) -> None:
        self._case = case
        self.props = [{"name": event["name"], "price": event["price"]} for event in case["events"]]
        self._windows: list[int] = []
        pattern = self._steps(case["pattern"])
        self.rule: dict[str, Any] = {"rule": "case", "version": 1, "pattern": pattern}
        if self._windows:
            self.rule["within"] = f"{min(self._windows)}ms"
        kind, name = re.fullmatch(
            r"(\w+)Strategy\{(?:patternName='(.*)')?\}", case["skip"]
        ).groups()
        self.rule["after_match"] = {
            "NoSkip": "no_skip",
            "SkipToNext": "skip_to_next",
            "SkipPastLast": "skip_past_last_event",
            "SkipToFirst": {"skip_to_first": own(name)},
            "SkipToLast": {"skip_to_last": own(name)},
        }[kind]

    def _steps(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self._step(part) for part in parts]

    def _step(self, part: dict[str, Any]) -> dict[str, Any]:
        step: dict[str, Any] = {}
        if "group" in part:
            step["steps"] = self._steps(part["group"])
        else:
            step |= {"step": own(part["name"])}
            step["where"] = self._condition(part["cond"], own(part["name"]))
        if part["op"] != "begin":
            step["then"] = THEN[part["op"]]
        if part.get("times"):
            least, most = part["times"]
            step["times"] = f"{least}+" if most is None else f"{least}..{most}"
            step["inner"] = part.get("inner", "relaxed")
        step |= {key: True for key in ("optional", "greedy") if part.get(key)}
        if part.get("until"):
            name = f"until_{len(self.props[0])}"
            step["until"] = self._condition(part["until"], name)
        if part.get("timesWindow"):
            step["repeat_within"] = f"{part['timesWindow']}ms"
        if part.get("withinPrev"):
            step["gap"] = {"max": f"{part['withinPrev']}ms"}
        if part.get("within"):
            self._windows.append(part["within"])
        return step

    def _condition(self, bits: list[int] | str, name: str) -> str:
        if isinstance(bits, str):
            return ITERATIVE[self._case["test"]]
        for props, bit in zip(self.props, bits, strict=True):
            props[name] = bool(bit)
        return f"props.{name}"


def own(name: str | None) -> str:
    """Give a name that can stand in an expression."""
    return re.sub(r"\W", "_", name or "")


def content(events: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Give what tells events of a case apart."""
    return tuple((event["id"], event["name"], event["price"]) for event in events)


@pytest.mark.parametrize("case", CASES, ids=[case["test"] for case in CASES])
def test_gives_flinks_matches(case: dict[str, Any]) -> None:
    """The matches of a case, with the runs stored and read between any two events."""
    translated = Translation(case)
    machine = Machine.compile([translated.rule])
    blob = b""
    found = []
    for index, given in enumerate(case["events"]):
        time = max(0, given["ts"])
        event = Event(str(index), "any", "u", time, props=translated.props[index])
        runs = machine.decode(blob)
        for match in machine.advance(runs, "u", event, time):
            taken = {
                name: [int(event.event_id) for event in events]
                for name, events in match.steps.items()
            }
            found.append((index, taken))
        blob = machine.encode(runs)
    if case["test"] in NOT_RAISED:
        expected = NOT_RAISED[case["test"]]
        assert [(at, [(n, i) for n, [i] in steps.items()]) for at, steps in found] == expected
        return
    contents = [
        (
            index,
            sorted((n, content([case["events"][i] for i in ids])) for n, ids in steps.items()),
        )
        for index, steps in found
    ]
    expected = [
        (match["at"], sorted((own(name), content(events)) for name, events in match["m"].items()))
        for match in case["matches"]
    ]
    assert sorted(contents) == sorted(expected)


def test_all_cases_are_there() -> None:
    """None was lost on the way."""
    assert len(CASES) == 228
