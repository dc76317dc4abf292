"""Faults of aggregate specs: all of them, each with its path."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from udfs.aggregation import Plan
from udfs.aggregation.specs import _LATER_FUNCTIONS
from udfs.errors import ConfigInvalid
from udfs.schemas import validator

GOOD: dict[str, Any] = {"aggregate": "a", "function": "sum", "value": "props.x"}


def faults_of(specs: Any) -> list[tuple[str, str]]:
    """Give path and problem of each fault."""
    with pytest.raises(ConfigInvalid) as caught:
        Plan.compile(specs)
    assert all(fault.cure for fault in caught.value.faults if ":" not in fault.where)
    return [(fault.where, fault.problem) for fault in caught.value.faults]


CASES = [
    ({"aggregate": ""}, "aggregate", "''"),
    ({"aggregate": 5}, "aggregate", "5"),
    ({"function": "median"}, "function", "not a function"),
    ({"function": None}, "function", "not a function"),
    ({"function": ["sum"]}, "function", "not a function"),
    ({"version": "1"}, "version", "'1'"),
    ({"version": True}, "version", "True"),
    ({"event": []}, "event", "empty list"),
    ({"event": 5}, "event", "5"),
    ({"event": ["a", ""]}, "event[1]", "''"),
    ({"where": 5}, "where", "5"),
    ({"value": True}, "value", "True"),
    ({"window": "week"}, "window", "'week'"),
    ({"window": {}}, "window", "without a length"),
    ({"window": {"sliding": "1w"}}, "window.sliding", "'1w'"),
    ({"window": {"sliding": 5}}, "window.sliding", "5"),
    ({"window": {"sliding": "1h", "hop": "1m"}}, "window.hop", "not supported yet"),
    ({"window": {"sliding": "1h", "step": 1}}, "window.step", "unknown key"),
    ({"window": {"tumbling": "1d", "timezone": "UTC"}}, "window.tumbling", "not supported yet"),
    ({"window": {"session": "30m"}}, "window.session", "not supported yet"),
    ({"window": {"last": 5}}, "window.last", "not supported yet"),
    ({"group_by": "props.c"}, "group_by", "not supported yet"),
    ({"colour": 1}, "colour", "unknown key"),
]


@pytest.mark.parametrize(("change", "where", "problem"), CASES)
def test_each_fault(change: dict[str, Any], where: str, problem: str) -> None:
    """What is wrong, by path; the JSON Schema refuses it as well."""
    found = faults_of([GOOD | change])
    assert found[0][0] == f"aggregates[0].{where}"
    assert problem in found[0][1]
    assert not validator("udfs.aggregation", "aggregate.schema.json").is_valid(GOOD | change)


@pytest.mark.parametrize("function", _LATER_FUNCTIONS)
def test_functions_to_come_are_told_from_misspelt_ones(function: str) -> None:
    """The message says that they are known."""
    assert faults_of([GOOD | {"function": function}]) == [
        ("aggregates[0].function", f"{function!r} is not supported yet")
    ]


@pytest.mark.parametrize("function", ["sum", "last"])
def test_a_value_is_needed(function: str) -> None:
    """Count alone does without."""
    spec = {"aggregate": "a", "function": function}
    assert [where for where, _ in faults_of([spec])] == ["aggregates[0].value"]
    assert not validator("udfs.aggregation", "aggregate.schema.json").is_valid(spec)
    Plan.compile([spec | {"function": "count"}])


def test_expressions_are_located() -> None:
    """Line and column follow the path."""
    found = faults_of([GOOD, GOOD | {"aggregate": "b", "where": "props.x >"}])
    assert [where.rsplit(":", 2)[0] for where, _ in found] == ["aggregates[1].where"]
    assert found[0][0].count(":") == 2


def test_all_faults_at_once() -> None:
    """Nothing stops at the first."""
    specs = [
        GOOD,
        5,
        {"aggregate": "a", "function": "mean", "window": {"sliding": "x"}, "k": 3},
        {"function": "count", "where": "1 +"},
    ]
    assert [where.split(":")[0] for where, _ in faults_of(specs)] == [
        "aggregates[1]",
        "aggregates[2].k",
        "aggregates[2].function",
        "aggregates[2].window.sliding",
        "aggregates[2].aggregate",
        "aggregates[3].aggregate",
        "aggregates[3].where",
    ]


@pytest.mark.parametrize("specs", [None, {}, "x", 5])
def test_a_list_is_needed(specs: Any) -> None:
    """Anything else is one fault."""
    assert faults_of(specs) == [("aggregates", "not a list of aggregates")]


@pytest.mark.parametrize(
    "spec",
    [
        GOOD,
        {"aggregate": "n", "function": "count"},
        GOOD | {"event": "pay", "where": "props.x > 0", "window": {"sliding": "1h"}, "version": 2},
        GOOD | {"event": ["pay", "renew"], "window": "lifetime", "function": "last"},
    ],
)
def test_good_specs_are_valid_everywhere(spec: dict[str, Any]) -> None:
    """The schema takes what the compiler takes."""
    jsonschema.validate(spec, validator("udfs.aggregation", "aggregate.schema.json").schema)
    assert Plan.compile([spec]).names == (spec["aggregate"],)
    assert Plan.compile(msgspec.json.decode(msgspec.json.encode([spec]))).names
