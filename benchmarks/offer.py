"""What the benchmarks of decisions decide: an offer, scored by a small model, or not scored.

A table of users with eight columns, two aggregates, and a model that reads all ten. The same
offer is made without the model and the table, and without any feature, to see what they cost.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.workload import AGGREGATES
from udfs.scoring.quiet import import_tensorflow

TABLE_USERS: Final = 100_000
"""Rows of the table; the users of the workload are the first of them."""

_SEED: Final = 7
_GOLDEN_ROWS: Final = 200

SPEC: Final[dict[str, Any]] = {
    "table": "user", "key": "user_id",
    "columns": [
        {"name": "age", "type": "int32", "default": 0},
        {"name": "visits", "type": "int64", "default": 0},
        {"name": "level", "type": "int8", "default": 0},
        {"name": "member", "type": "bool", "default": False},
        {"name": "ctr_7d", "type": "float32", "default": 0.0},
        {"name": "ctr_30d", "type": "float64", "default": 0.0},
        {"name": "basket", "type": "float32", "default": 0.0},
        {"name": "returns", "type": "float32", "default": 0.0},
    ],
}  # fmt: skip

_READ: Final = ("views_1h", "spent")

FEATURES: Final[dict[str, Any]] = {
    "model": "ctr",
    "inputs": [{"name": "numbers", "dtype": "float32", "features": [
        {"feature": name, "default": 0.0}
        for name in (*(f"user.{column['name']}" for column in SPEC["columns"]), *_READ)
    ]}],
}  # fmt: skip

# One view in ten, and half of the workload are views: one event in twenty.
_OFFER: Final[dict[str, Any]] = {
    "flow": "offer",
    "version": 1,
    "trigger": {"event": "item_view", "where": "props.price > 112.5"},
}
_PAYLOAD: Final = {"sku": "props.sku", "price": "props.price"}

BARE: Final[dict[str, Any]] = {
    **_OFFER,
    "action": {"when": "props.price > 100.0", "payload": _PAYLOAD},
}
"""The offer without any feature."""

COUNTED: Final[dict[str, Any]] = {
    **_OFFER,
    "features": list(_READ),
    "action": {
        "when": "f['views_1h'] > 0 && props.price > 100.0",
        "payload": {**_PAYLOAD, "views": "f['views_1h']"},
    },
}
"""The offer with the aggregates, without table and model."""

SCORED: Final[dict[str, Any]] = {
    **COUNTED,
    "logic": [{"score": "ctr", "model": "ctr"}],
    "action": {
        "when": "f['views_1h'] > 0 && score.ctr >= 0.0",
        "payload": {**_PAYLOAD, "views": "f['views_1h']", "score": "score.ctr"},
    },
}
"""The offer with everything: the model reads the table and the aggregates."""

USED: Final = [each for each in AGGREGATES if each["aggregate"] in _READ]
"""The aggregates of the workload that the offer reads."""


def user(number: int) -> str:
    """Give the name of a user, as the workload spells it."""
    return f"u{number:06d}"


def write_users(path: Path) -> None:
    """Write the source of the table: `TABLE_USERS` rows, the same every time."""
    draw = np.random.default_rng(_SEED)
    rows = TABLE_USERS
    columns = {
        "user_id": pa.array([user(number) for number in range(rows)]),
        "age": pa.array(draw.integers(18, 90, rows), pa.int32()),
        "visits": pa.array(draw.integers(0, 1_000, rows), pa.int64()),
        "level": pa.array(draw.integers(0, 9, rows), pa.int8()),
        "member": pa.array(draw.random(rows) < 0.3),
        "ctr_7d": pa.array(draw.random(rows), pa.float32()),
        "ctr_30d": pa.array(draw.random(rows), pa.float64()),
        "basket": pa.array(draw.random(rows) * 200, pa.float32()),
        "returns": pa.array(draw.random(rows), pa.float32()),
    }
    pq.write_table(pa.table(columns), path)


def write_model(folder: Path) -> None:
    """Write the source of the model: 10 → 32 → 16 → 1, not trained, the same every time.

    Args:
        folder: Gets ``model.keras``, ``features.json`` and ``golden.jsonl``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import_tensorflow()
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(_SEED)
    (given,) = FEATURES["inputs"]
    names = [each["feature"] for each in given["features"]]
    numbers = keras.Input((len(names),), name=given["name"])
    scaled = keras.layers.Rescaling(0.01)(numbers)
    hidden = keras.layers.Dense(32, activation="relu")(scaled)
    hidden = keras.layers.Dense(16, activation="relu")(hidden)
    score = keras.layers.Dense(1, activation="sigmoid")(hidden)
    keras.Model(numbers, score).save(folder / "model.keras")
    (folder / "features.json").write_text(json.dumps(FEATURES), encoding="utf-8")
    rows = np.random.default_rng(_SEED).uniform(0, 90, (_GOLDEN_ROWS, len(names))).tolist()
    golden = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    (folder / "golden.jsonl").write_text(golden, encoding="utf-8")


Given = ParamSpec("Given")
Result = TypeVar("Result")


def elsewhere(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """Do something in a fresh process: TensorFlow shall not lie about where times are taken."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given, **named).result()
