"""Two validators, one answer."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.schemas import Validator, schema_faults, validator

RULE: dict[str, Any] = {
    "rule": "r", "version": 1, "priority": 2, "within": "30m", "max_runs": 5, "timeouts": False,
    "after_match": {"skip_to_first": "a"},
    "pattern": [
        {"step": "a", "event": ["x", "y"], "where": "props.n > 1", "times": "2..3"},
        {"steps": [{"step": "b", "event": "x", "optional": True}], "then": "followed_by"},
        {"step": "c", "then": "not_followed_by", "gap": {"max": "10s"}},
    ],
}  # fmt: skip
ODD = st.sampled_from(
    [None, True, 0, 1, -1, 1.0, 1.5, 2**70, float("nan"), float("inf"), "", "a", "\u00e9", "\ud800",
     "10s", "10S", "1\n", "2+", "0..1", [], {}, ["x"], ["x", "x"], [1], {"max": "1s"}, (1,), b"x"]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the paths of all that is in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inner:
        found.append((*path, key))
        if isinstance(item, dict | list):
            found += places(item, (*path, key))
    return found


@given(st.data())
def test_both_say_the_same(data: st.DataObject) -> None:
    """Whatever stands in a rule."""
    rule = copy.deepcopy(RULE)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(rule)))
        inside = rule
        for key in path[:-1]:
            inside = inside[key]
        if data.draw(st.booleans()) or isinstance(inside, list):
            inside[path[-1]] = data.draw(ODD)
        else:
            inside[data.draw(st.sampled_from(["thens", "steps", "where", "event"]))] = data.draw(
                ODD
            )
    schema = json.loads(resources.files("udfs.matching").joinpath("rule.schema.json").read_bytes())
    exact = jsonschema.Draft202012Validator(schema)
    ours = validator("udfs.matching", "rule.schema.json")
    assert ours.is_valid(rule) == exact.is_valid(rule)


def test_no_depth_ends_the_process() -> None:
    """A hundred thousand levels, where the schema follows them and where it does not."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    nested = Validator({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"})
    with pytest.raises(RecursionError):
        nested.is_valid(deep)
    [fault] = schema_faults("udfs.decisions", "flow.schema.json", {"flow": deep}, "flows[0]")
    assert fault.problem == "nested deeper than 100 levels"


def test_what_json_does_not_have_is_told() -> None:
    """By the exact one, which looks at more than JSON."""
    ours = validator("udfs.matching", "rule.schema.json")
    assert ours.is_valid(RULE)
    with pytest.raises(jsonschema.ValidationError):
        ours.validate({**RULE, 5: 5})
