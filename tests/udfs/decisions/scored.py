"""Flows that read tables and ask models, with tables and models that need no files."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from feature_dist.pointer import Blob, TablePointer
from feature_dist.schema import Column
from feature_dist.values import NEVER, arrow_type, encode
from tests.udfs.decisions.logs import PARTS, START_MS
from udfs.decisions.program import Program
from udfs.decisions.resources import Resources
from udfs.errors import ModelInvalid, TableUnavailable
from udfs.expressions import CodeCache
from udfs.scoring.inputs import Inputs, read_inputs

_CODE = CodeCache()
_BLOB = Blob("file:///nowhere", "0" * 64, 1)

USER = TablePointer(
    "user", 3, _BLOB, "by_user", 4,
    (Column("age", "int32", 18), Column("spent", "float32"), Column("city", "string", "?")),
)  # fmt: skip
ITEM = TablePointer("item", 7, _BLOB, "replicated", 1, (Column("rank", "float32", 0.5),))

USERS: dict[str, dict[str, Any]] = {
    "a": {"age": 30, "spent": 1.5, "city": "哈尔滨"},
    "b": {"age": 41, "spent": None, "city": None},
    "c": {"age": None, "spent": 90.0, "city": "Lyon"},
    "d": {"age": 55, "spent": 3.25, "city": ""},
}
ITEMS: dict[str, dict[str, Any]] = {"x": {"rank": 2.0}}

FEATURES: dict[str, Any] = {
    "model": "ctr",
    "inputs": [
        {"name": "numbers", "dtype": "float32", "features": [
            {"feature": "user.age", "default": 0.0}, {"feature": "views_10s", "default": 0.0},
            {"feature": "user.spent", "default": -1.0}, {"feature": "item.rank", "default": 0.0}]},
        {"name": "ids", "dtype": "int32", "features": [
            {"feature": "user.city", "buckets": 50, "default": 0}]},
    ],
}  # fmt: skip

FLOWS: list[dict[str, Any]] = [
    {"flow": "offer", "version": 2, "trigger": {"event": ["pay", "cart"]},
     "limit": {"per_user": "1/10s"}, "features": ["views_10s", "user.city", "paid"],
     "keys": {"item": "props.sku"},
     "logic": [{"let": "adult", "be": "f['user.age'] >= 18"},
               {"score": "ctr", "model": "ctr", "when": "adult", "default": 0.125},
               {"let": "high", "be": "score.ctr > 0.5"},
               {"score": "again", "model": "ctr", "when": "high"}],
     "action": {"when": "high", "payload": {"score": "score.ctr", "city": "f['user.city']"}}},
    {"flow": "thanks", "version": 1, "trigger": {"rule": "bought"},
     "keys": {"item": "pay[0].props.sku"}, "logic": [{"score": "ctr", "model": "ctr"}],
     "action": {"payload": {"score": "score.ctr"}}},
    {"flow": "remind", "version": 1, "trigger": {"rule": "abandoned"},
     "limit": {"per_user": "1/20s"}, "features": ["user.age"],
     "action": {"when": "f['user.age'] > 20", "payload": {"age": "f['user.age']"}}},
    {"flow": "plain", "version": 1, "trigger": {"event": "pay"},
     "limit": {"per_user": "3/8s"},
     "action": {"payload": {"at": "at"}}},
]  # fmt: skip

SCORED: dict[str, list[Any]] = {
    **PARTS,
    "flows": FLOWS,
    "features": [msgspec.to_builtins(USER), msgspec.to_builtins(ITEM)],
    "models": [{"model": "ctr", "version": 9, "artifact": msgspec.to_builtins(_BLOB),
                "inputs": FEATURES["inputs"], "outputs": 1}],
}  # fmt: skip


class Memory:
    """A table in memory.

    Args:
        pointer: Its layout.
        rows: By key.
        expires: By key, ms.
    """

    def __init__(
        self,
        pointer: TablePointer,
        rows: Mapping[str, Mapping[str, Any]],
        expires: Mapping[str, int] | None = None,
    ) -> None:
        self.release = pointer.release
        self.broken = False
        self.asked = 0
        arrays = [
            pa.array([row[column.name] for row in rows.values()], type=arrow_type(column))
            for column in pointer.columns
        ]
        batch = pa.RecordBatch.from_arrays(arrays, names=[c.name for c in pointer.columns])
        until = np.array([(expires or {}).get(key, NEVER) for key in rows])
        values = encode(pointer.schema(), batch, np.full(len(rows), START_MS), until)
        self._values = dict(zip((key.encode() for key in rows), values, strict=True))

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """See `udfs.features.lookup.Source`."""
        self.asked += 1
        if self.broken:
            raise TableUnavailable("the disk is gone")
        return [self._values.get(key) for key in keys]


class Sum:
    """A model: the sum of its numbers, scaled; not finite for an age of 55."""

    def __init__(self, version: int = 9) -> None:
        self.version = version
        self.inputs: Inputs = read_inputs(FEATURES)
        self.broken = False
        self.calls: list[int] = []

    def score(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """See `udfs.decisions.resources.Scorer`."""
        self.calls.append(len(rows))
        if self.broken:
            raise ModelInvalid("the model is gone")
        numbers, ids = self.inputs.tensors(rows)
        found = ((numbers.sum(axis=1) + ids[:, 0]) * 0.01).tolist()
        return [
            None if number[0] == 55 else score for number, score in zip(numbers, found, strict=True)
        ]


def resources(**expires: int) -> Resources:
    """Tables and the model."""
    return Resources(
        {"user": Memory(USER, USERS, expires), "item": Memory(ITEM, ITEMS)}, {"ctr": Sum()}
    )


@functools.cache
def _compiled() -> Program:
    return Program.compile(1, SCORED, {"decisions"}, _CODE)


def scored(given: Resources | None = None) -> Program:
    """The program of these flows."""
    found = _compiled()
    found.resources = given or resources()
    return found


def expected(user: str, views: int, sku: str) -> float:
    """What the model gives."""
    row = USERS.get(user, {"age": 18, "spent": None, "city": "?"})
    age = 18 if row["age"] is None else row["age"]
    spent = -1.0 if row["spent"] is None else row["spent"]
    city = "?" if row["city"] is None else row["city"]
    rank = ITEMS.get(sku, {"rank": 0.5})["rank"]
    features = {"user.age": age, "views_10s": views, "user.spent": spent, "item.rank": rank,
                "user.city": city}  # fmt: skip
    numbers, ids = read_inputs(FEATURES).tensors([features])
    found = float((numbers.sum() + ids[0, 0]) * 0.01)
    assert math.isfinite(found)
    return found
