"""Faults of aggregate specs: all of them, each with its path."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from udfs.aggregation import Plan
from udfs.aggregation.operations.factory import FUNCTIONS, NEEDS_K
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
    ({"window": {"sliding": "0s"}}, "window.sliding", "'0s'"),
    ({"window": {"sliding": "1h", "step": 1}}, "window.step", "unknown key"),
    ({"window": {"sliding": "1h", "timezone": "UTC"}}, "window.timezone", "has no 'timezone'"),
    ({"window": {"sliding": "1h", "session": "1h"}}, "window.session", "'sliding' already"),
    ({"window": {"hop": "1m"}}, "window", "without a length"),
    ({"window": {"tumbling": "1y"}}, "window.tumbling", "'1y'"),
    ({"window": {"tumbling": "1d", "timezone": 5}}, "window.timezone", "5"),
    ({"window": {"session": 30}}, "window.session", "30"),
    ({"window": {"last": 0}}, "window.last", "0"),
    ({"window": {"last": "5"}}, "window.last", "'5'"),
    ({"window": {"last": True}}, "window.last", "True"),
    ({"group_by": 5}, "group_by", "5"),
    ({"max_groups": 5}, "max_groups", "no groups"),
    ({"group_by": "props.c", "max_groups": 0}, "max_groups", "0"),
    ({"k": 3}, "k", "has no k"),
    ({"q": [0.5]}, "q", "has no q"),
    ({"function": "top_k"}, "k", "needs k"),
    ({"function": "top_k", "k": 0}, "k", "0"),
    ({"function": "top_k", "k": 1.5}, "k", "1.5"),
    ({"function": "approx_percentile"}, "q", "None"),
    ({"function": "approx_percentile", "q": []}, "q", "[]"),
    ({"function": "approx_percentile", "q": [0.5, 1.5]}, "q[1]", "1.5"),
    ({"function": "approx_percentile", "q": [True]}, "q[0]", "True"),
    ({"tier": "warm"}, "tier", "'warm'"),
    ({"colour": 1}, "colour", "unknown key"),
]


@pytest.mark.parametrize(("change", "where", "problem"), CASES)
def test_each_fault(change: dict[str, Any], where: str, problem: str) -> None:
    """What is wrong, by path; the JSON Schema refuses it as well."""
    found = faults_of([GOOD | change])
    assert found[0][0] == f"aggregates[0].{where}"
    assert problem in found[0][1]
    assert not validator("udfs.aggregation", "aggregate.schema.json").is_valid(GOOD | change)


@pytest.mark.parametrize(
    ("window", "where", "problem"),
    [
        ({"sliding": "1h", "hop": "7m"}, "window.hop", "does not divide"),
        ({"sliding": "36500d", "hop": "1m"}, "window.hop", "too many"),
        ({"tumbling": "7h"}, "window.tumbling", "neither divides a day"),
        ({"tumbling": "36h"}, "window.tumbling", "neither divides a day"),
        ({"tumbling": "1d", "timezone": "Mars/Base"}, "window.timezone", "'Mars/Base'"),
        ({"tumbling": "1d", "timezone": "../etc"}, "window.timezone", "'../etc'"),
        ({"tumbling": "1d", "timezone": "Europe"}, "window.timezone", "'Europe'"),
    ],
)
def test_windows_that_a_schema_cannot_refuse(
    window: dict[str, Any], where: str, problem: str
) -> None:
    """Numbers that do not fit each other, and names of zones."""
    found = faults_of([GOOD | {"window": window}])
    assert found[0][0] == f"aggregates[0].{where}"
    assert problem in found[0][1]


def test_the_nearest_name_is_given() -> None:
    """For keys and functions."""
    with pytest.raises(ConfigInvalid) as caught:
        Plan.compile([GOOD | {"functoin": "sum"}, GOOD | {"aggregate": "b", "function": "summ"}])
    assert [fault.cure for fault in caught.value.faults] == [
        "did you mean 'function'?",
        "did you mean 'sum'?",
    ]


DERIVED = {"aggregate": "d", "derive": "a + 1"}


@pytest.mark.parametrize(
    ("specs", "where", "problem"),
    [
        ([GOOD, DERIVED | {"derive": "b + 1"}], "aggregates[1].derive", "b"),
        ([GOOD, DERIVED | {"derive": "d + 1"}], "aggregates[1].derive", "depends on itself"),
        ([GOOD, DERIVED | {"derive": 5}], "aggregates[1].derive", "5"),
        ([GOOD, DERIVED | {"derive": None}], "aggregates[1].derive", "null"),
        ([GOOD, DERIVED | {"window": "lifetime"}], "aggregates[1].window", "has no 'window'"),
        ([GOOD, DERIVED | {"derive": "props.x"}], "aggregates[1].derive", "props"),
    ],
)
def test_faults_of_derived_aggregates(
    specs: list[dict[str, Any]], where: str, problem: str
) -> None:
    """They know the other aggregates and nothing else."""
    found = faults_of(specs)
    assert found[0][0].split(":")[0] == where
    assert problem in found[0][1]


def test_circles_are_told() -> None:
    """Everyone on it, and nobody else."""
    specs = [
        GOOD,
        {"aggregate": "x", "derive": "y + a"},
        {"aggregate": "y", "derive": "x + 1"},
        {"aggregate": "z", "derive": "a * 2"},
    ]
    assert [where for where, _ in faults_of(specs)] == [
        "aggregates[1].derive",
        "aggregates[2].derive",
    ]


def test_the_schema_knows_all_functions() -> None:
    """And what they need."""
    schema = validator("udfs.aggregation", "aggregate.schema.json")
    assert set(schema.schema["properties"]["function"]["enum"]) == set(FUNCTIONS)
    for function in FUNCTIONS:
        spec = GOOD | {"function": function}
        assert schema.is_valid(spec | {"k": 3}) == (function in {*NEEDS_K, "histogram"})
        assert schema.is_valid(spec | {"q": [0.5]}) == (function == "approx_percentile")


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
        {"aggregate": "a", "function": "mean", "window": {"sliding": "x"}, "kk": 3},
        {"function": "count", "where": "1 +"},
    ]
    assert [where.split(":")[0] for where, _ in faults_of(specs)] == [
        "aggregates[1]",
        "aggregates[2].kk",
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
        GOOD | {"window": {"sliding": "1h", "hop": "1m"}, "group_by": "props.c", "max_groups": 5},
        GOOD | {"window": {"tumbling": "month", "timezone": "Asia/Shanghai"}, "tier": "cold"},
        GOOD | {"window": {"tumbling": "6h"}, "function": "histogram", "k": 5},
        GOOD | {"window": {"session": "30m"}, "function": "approx_percentile", "q": [0, 0.5, 1]},
        GOOD | {"window": {"last": 10}, "function": "sequence", "k": 5},
    ],
)
def test_good_specs_are_valid_everywhere(spec: dict[str, Any]) -> None:
    """The schema takes what the compiler takes."""
    jsonschema.validate(spec, validator("udfs.aggregation", "aggregate.schema.json").schema)
    assert Plan.compile([spec]).names == (spec["aggregate"],)
    assert Plan.compile(msgspec.json.decode(msgspec.json.encode([spec]))).names
