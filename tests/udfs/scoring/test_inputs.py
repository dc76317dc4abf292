"""From features to tensors: the fast way gives what a plain loop gives, faults have places."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from tests.udfs.scoring.models import FEATURES
from udfs.errors import ConfigInvalid
from udfs.scoring.inputs import read_inputs

RANGES = {"int32": 2**31, "int64": 2**63}


def one(dtype: str, value: Any) -> Any:
    """The oracle for one number: itself, or None."""
    if not isinstance(value, bool | int | float):
        return None
    try:
        if not math.isfinite(value):
            return None
    except OverflowError:  # an integer beyond all doubles
        if dtype == "float32":
            return None
    if dtype == "float32":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            number = np.float32(value)
        return number if np.isfinite(number) else None
    if value != int(value) or not -RANGES[dtype] <= value < RANGES[dtype]:
        return None
    return int(value)


def hashed(value: Any, buckets: int) -> Any:
    """The oracle for an id."""
    if not isinstance(value, bool | int | str):
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return xxh3_64_intdigest(text.encode()) % buckets


def naive(dtype: str, feature: dict[str, Any], value: Any) -> tuple[list[Any], bool]:
    """The oracle for one feature: its numbers, and whether they are defaults."""
    width = feature.get("width", 1)
    if "buckets" in feature:
        found = [hashed(value, feature["buckets"])]
    elif width > 1:
        fits = isinstance(value, list | tuple) and len(value) == width
        found = [one(dtype, each) for each in value] if fits else [None]
    else:
        found = [one(dtype, value)]
    if None in found:
        return [feature["default"]] * width, True
    return found, False


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.integers()
    | st.sampled_from([2**31 - 1, 2**31, -(2**63), 2**63, 10**400, 3.0, 3.5, 1e300, 3.4028236e38])
    | st.floats()
    | st.floats(width=32)
    | st.text(max_size=3)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.tuples(st.floats(-1, 1), st.floats(-1, 1))


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A features.json."""
    inputs = []
    for number in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(["float32", "int32", "int64"]))
        features = []
        for _ in range(draw(st.integers(1, 6))):
            feature = {
                "feature": draw(st.sampled_from("abcdef")),
                "default": draw(st.integers(0, 6)),
            }
            kind = draw(st.sampled_from(["number", "number", "vector", "hashed"]))
            if kind == "vector":
                feature["width"] = draw(st.integers(1, 3))
            elif kind == "hashed" and dtype != "float32":
                feature["buckets"] = draw(st.sampled_from([7, 1000, 2**31 - 1]))
            features.append(feature)
        inputs.append({"name": f"i{number}", "dtype": dtype, "features": features})
    return {"model": "m", "inputs": inputs}


ROWS = st.lists(st.dictionaries(st.sampled_from("abcdef"), VALUES), max_size=5)
PLAIN_ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | st.floats(-9, 9) for name in "abcdef"}), max_size=40
)


@given(specs(), ROWS | PLAIN_ROWS)
@example(
    {"model": "m", "inputs": [{"name": "x", "dtype": "float32", "features": [
        {"feature": "a", "default": 0, "width": 2}]}]},
    [{"a": None}],
)  # fmt: skip
@example(
    {"model": "m", "inputs": [{"name": "x", "dtype": "float32", "features": [
        {"feature": "a", "default": 0}, {"feature": "b", "default": 1}]}]},
    [{"a": 1e308, "b": -1e308}, {"a": math.inf, "b": -math.inf}, {"a": "3", "b": None}],
)  # fmt: skip
def test_tensors_are_those_of_a_plain_loop(
    spec: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Of any values, in any mixture; and what was defaulted is told."""
    inputs = read_inputs(spec)
    told: list[dict[str, None]] = [{} for _ in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns of what does not fit
        tensors = inputs.tensors(rows)
        found = [inputs.defaulted(row) for row in rows]
    for each, port, tensor in zip(spec["inputs"], inputs.ports, tensors, strict=True):
        assert tensor.shape == (len(rows), inputs.widths[each["name"]])
        assert tensor.dtype == each["dtype"] == port.dtype
        assert tensor.flags.c_contiguous
        for number, row in enumerate(rows):
            wanted: list[Any] = []
            for feature in each["features"]:
                numbers, default = naive(each["dtype"], feature, row.get(feature["feature"]))
                wanted += numbers
                if default:
                    told[number][feature["feature"]] = None
            assert tensor[number].tolist() == np.array(wanted, each["dtype"]).tolist()
    assert [set(names) for names in found] == [set(names) for names in told]
    assert all(len(names) == len(set(names)) for names in found)


@given(PLAIN_ROWS)
def test_a_row_does_not_depend_on_those_beside_it(rows: list[dict[str, Any]]) -> None:
    """Together, alone, and beside a row with something unusual in it."""
    features = [{"feature": name, "default": 5} for name in "abcdef"]
    inputs = read_inputs(
        {"model": "m", "inputs": [{"name": "x", "dtype": "float32", "features": features}]}
    )
    (together,) = inputs.tensors(rows)
    (beside,) = inputs.tensors([*rows, {"a": "text"}])
    alone: list[NDArray[Any]] = [inputs.tensors([row])[0] for row in rows]
    assert np.array_equal(together, beside[:-1])
    assert np.array_equal(together, np.concatenate(alone) if alone else np.zeros((0, 6)))


def spec_of(dtype: str = "float32", **feature: Any) -> dict[str, Any]:
    """One input of one feature ``a``."""
    return {
        "model": "m",
        "inputs": [
            {"name": "x", "dtype": dtype, "features": [{"feature": "a", "default": 1} | feature]}
        ],
    }


IDS = spec_of("int32", buckets=1000)
CASES: dict[str, tuple[dict[str, Any], Any, list[Any]]] = {
    "bool": (spec_of(), True, [1]),
    "text": (spec_of(), "2", [1]),
    "nan": (spec_of(), math.nan, [1]),
    "infinity": (spec_of(), -math.inf, [1]),
    "too large a double": (spec_of(), 1e39, [1]),
    "list for a number": (spec_of(), [2.0], [1]),
    "vector of one": (spec_of(width=1), 2, [2]),
    "whole double": (spec_of("int32"), 2.0, [2]),
    "fraction": (spec_of("int32"), 2.5, [1]),
    "default with a point": (spec_of("int32", default=1.0), "x", [1]),
    "id's default with a point": (spec_of("int32", default=1.0, buckets=5), 0.5, [1]),
    "too large an integer": (spec_of("int32"), 2**31, [1]),
    "int64": (spec_of("int64"), 2**31, [2**31]),
    "list": (spec_of(width=2), [2, 3], [2, 3]),
    "tuple with null": (spec_of(width=2), (2, None), [1, 1]),
    "list with nan": (spec_of(width=2), [2, math.nan], [1, 1]),
    "short list": (spec_of(width=2), [2], [1, 1]),
    "text for a vector": (spec_of(width=2), "23", [1, 1]),
    "number for a vector": (spec_of(width=2), 2, [1, 1]),
    "id": (IDS, "red", [xxh3_64_intdigest(b"red") % 1000]),
    "id of nothing": (IDS, "", [xxh3_64_intdigest(b"") % 1000]),
    "id in utf-8": (IDS, "杭", [xxh3_64_intdigest("杭".encode()) % 1000]),
    "id of an integer": (IDS, -7, [xxh3_64_intdigest(b"-7") % 1000]),
    "id of a bool": (IDS, False, [xxh3_64_intdigest(b"false") % 1000]),
    "id of a double": (IDS, 7.0, [1]),
    "id of half a pair": (IDS, "\ud800", [1]),
    "id of many digits": (IDS, 10**5000, [1]),
    "id of 40 bits": (spec_of("int64", buckets=2**40), "red", [xxh3_64_intdigest(b"red") % 2**40]),
}


@pytest.mark.parametrize(("spec", "value", "wanted"), CASES.values(), ids=CASES.keys())
def test_what_a_value_becomes(spec: dict[str, Any], value: Any, wanted: list[Any]) -> None:
    """Each kind of value, for each kind of feature."""
    inputs = read_inputs(spec)
    (tensor,) = inputs.tensors([{"a": value}])
    assert tensor.tolist() == [wanted]
    (missing,) = inputs.tensors([{}, {"a": None}])
    default = [1] * len(wanted)
    assert missing.tolist() == [default, default]
    assert inputs.defaulted({}) == ["a"]


def test_the_parts_of_inputs() -> None:
    """Names once and in order, widths by input, and JSON again."""
    inputs = read_inputs(FEATURES)
    assert inputs.model == "ctr_small"
    assert inputs.features == (
        "user.age", "views_1m", "spend_10m", "item.taste", "item.sku", "item.shop",
    )  # fmt: skip
    assert dict(inputs.widths) == {"numbers": 7, "ids": 2}
    assert inputs.plain() == FEATURES
    assert read_inputs(inputs.plain()).ports == inputs.ports


def test_tensors_cannot_be_written_to() -> None:
    """They lie in bytes that Python holds to be constant."""
    (tensor,) = read_inputs(spec_of()).tensors([{"a": 1}])
    with pytest.raises(ValueError, match="read-only"):
        tensor[0, 0] = 2


def put(path: list[Any], value: Any, /) -> Callable[[dict[str, Any]], None]:
    """A change of a features.json."""

    def change(spec: dict[str, Any]) -> None:
        target: Any = spec
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


FIRST = ["inputs", 0, "features", 0]
ID = ["inputs", 1, "features", 0]


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (put(["colour"], 1), "$", "colour"),
        (put(["model"], "1st"), "$.model", "does not match"),
        (put(["inputs"], []), "$.inputs", "non-empty"),
        (put(["inputs", 0, "dtype"], "float64"), "$.inputs[0].dtype", "float64"),
        (put(["inputs", 0, "name"], "a b"), "$.inputs[0].name", "does not match"),
        (put(["inputs", 0, "features"], []), "$.inputs[0].features", "non-empty"),
        (put(["inputs", 1, "name"], "numbers"), "$.inputs[1].name", "stands at inputs[0] already"),
        (put(FIRST, {"feature": "a"}), "$.inputs[0].features[0]", "default"),
        (put([*FIRST, "feature"], "a b"), "$.inputs[0].features[0].feature", "does not match"),
        (put([*FIRST, "default"], None), "$.inputs[0].features[0].default", "number"),
        (put([*FIRST, "default"], "0"), "$.inputs[0].features[0].default", "number"),
        (put([*FIRST, "default"], 1e39), "$.inputs[0].features[0].default", "does not fit float32"),
        (put([*FIRST, "width"], 0), "$.inputs[0].features[0].width", "minimum"),
        (put([*FIRST, "buckets"], 5), "$.inputs[0].features[0].buckets", "int32 or int64"),
        (put([*ID, "default"], 50), "$.inputs[1].features[0].default", "no id below 50"),
        (put([*ID, "default"], -1), "$.inputs[1].features[0].default", "no id below 50"),
        (put([*ID, "default"], 0.5), "$.inputs[1].features[0].default", "does not fit int32"),
        (put([*ID, "buckets"], 2**31), "$.inputs[1].features[0].buckets", "more than int32 holds"),
        (put([*ID, "buckets"], 0), "$.inputs[1].features[0].buckets", "minimum"),
        (put([*ID, "width"], 2), "$.inputs[1].features[0].width", "not hashed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_faults_name_their_place(
    change: Callable[[dict[str, Any]], None], where: str, words: str
) -> None:
    """JSON path and problem."""
    spec = copy.deepcopy(FEATURES)
    change(spec)
    with pytest.raises(ConfigInvalid) as caught:
        read_inputs(spec)
    (fault,) = caught.value.faults
    assert fault.where == where
    assert words in str(fault)
    assert fault.cure


def test_all_faults_are_told_at_once() -> None:
    """Those of one kind of check, in every input."""
    spec = copy.deepcopy(FEATURES)
    put([*FIRST, "default"], 1e39)(spec)
    put([*ID, "default"], 77)(spec)
    put(["inputs", 1, "name"], "numbers")(spec)
    with pytest.raises(ConfigInvalid) as caught:
        read_inputs(spec, "models[3]")
    assert len(caught.value.faults) == 3
    assert all(fault.where.startswith("models[3].inputs[") for fault in caught.value.faults)


@pytest.mark.parametrize("raw", [None, [], "text", 7], ids=repr)
def test_what_is_no_object_is_a_fault(raw: Any) -> None:
    """Never another exception."""
    with pytest.raises(ConfigInvalid):
        read_inputs(raw)
