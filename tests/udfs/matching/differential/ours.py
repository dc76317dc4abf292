"""What millrace says to a case."""

from __future__ import annotations

from typing import Any

from tests.udfs.matching.differential.cases import Case
from udfs.errors import ConfigInvalid
from udfs.events.event import Event
from udfs.matching import Machine, Match, Runs


def rule_of(case: Case) -> dict[str, Any]:
    """Give the case's rule in the DSL."""
    rule = {"rule": "r", "version": 1, "after_match": case["skip"], "timeouts": case["timeouts"]}
    rule["pattern"] = [_step(step) for step in case["pattern"]]
    if case["within"] is not None:
        rule["within"] = f"{case['within']}ms"
    return rule


def _step(given: dict[str, Any]) -> dict[str, Any]:
    same = ("then", "inner", "optional", "greedy")
    step = {key: given[key] for key in same if key in given}
    if "group" in given:
        step["steps"] = [_step(inner) for inner in given["group"]]
    else:
        step["step"] = given["name"]
        condition = given["cond"]
        if condition.get("type") is not None:
            step["event"] = condition["type"]
        where = _where(condition | {"type": None})
        if where:
            step["where"] = where
    if given.get("times"):
        least, most = given["times"]
        step["times"] = f"{least}+" if most is None else f"{least}..{most}"
    if given.get("until") is not None:
        step["until"] = _where(given["until"]) or "true"
    if given.get("repeat_within") is not None:
        step["repeat_within"] = f"{given['repeat_within']}ms"
    if given.get("gap_max") is not None:
        step["gap"] = {"max": f"{given['gap_max']}ms"}
    return step


def _where(condition: dict[str, Any]) -> str:
    terms = []
    if condition.get("type") is not None:
        terms.append(f"event_type == '{condition['type']}'")
    if condition.get("above") is not None:
        terms.append(f"props.x > {condition['above']}")
    if condition.get("counted") is not None:
        terms.append(f"size({condition['counted']}) < {condition['below']}")
    if condition.get("rising") is not None:
        terms.append(f"props.x >= last({condition['rising']}).props.x")
    return " && ".join(terms)


def answer(case: Case, *, stored: bool = False) -> dict[str, Any]:
    """Give the answer in the form of Flink's.

    Args:
        case: See `cases`.
        stored: Whether the runs are written and read between any two events.
    """
    try:
        machine = Machine.compile([rule_of(case)], default_max_runs=None)
    except ConfigInvalid as error:
        return {"refused": str(error)}
    runs = Runs()
    found: list[Match] = []
    for index, given in enumerate(case["events"]):
        event = Event(str(index), given["type"], "u", given["t"], props={"x": given["x"]})
        if stored:
            runs = machine.decode(machine.encode(runs))
        found += machine.advance(runs, "u", event, given["t"])
    found += machine.due(runs, "u", case["end"])
    return {
        "found": [
            {
                "kind": one.kind,
                "at": one.at,
                "steps": {
                    name: [int(event.event_id) for event in events]
                    for name, events in one.steps.items()
                },
            }
            for one in found
        ]
    }
