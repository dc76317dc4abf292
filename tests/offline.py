"""Tables and models for tests: small, seeded, and known by heart."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

USER_SPEC: dict[str, Any] = {
    "table": "user", "key": "user_id", "partitions": 32,
    "columns": [
        {"name": "age", "type": "int32", "default": 0},
        {"name": "spent", "type": "float32", "default": 0.0},
        {"name": "visits", "type": "int64", "default": 0},
        {"name": "member", "type": "bool", "default": False},
        {"name": "ctr_7d", "type": "float32", "default": 0.0},
        {"name": "ctr_30d", "type": "float64", "default": 0.0},
        {"name": "city", "type": "string", "default": ""},
        {"name": "taste", "type": "float32[4]", "default": [0, 0, 0, 0]},
    ],
}  # fmt: skip

ITEM_SPEC: dict[str, Any] = {
    "table": "item", "key": "sku", "distribution": "replicated",
    "columns": [
        {"name": "price", "type": "float32", "default": 0.0},
        {"name": "category", "type": "string", "default": ""},
        {"name": "rank", "type": "int32", "default": 0},
    ],
}  # fmt: skip

FEATURES: dict[str, Any] = {
    "model": "ctr",
    "inputs": [
        {"name": "numbers", "dtype": "float32", "features": [
            {"feature": name, "default": 0.0}
            for name in ("user.age", "user.spent", "user.visits", "user.member", "user.ctr_7d",
                         "user.ctr_30d", "item.price", "item.rank", "views_1m")
        ] + [{"feature": "user.taste", "width": 4, "default": 0.0}]},
        {"name": "ids", "dtype": "int32", "features": [
            {"feature": "user.city", "buckets": 50, "default": 0},
            {"feature": "item.category", "buckets": 20, "default": 0}]},
    ],
}  # fmt: skip

_CITIES = ("杭州", "Lyon", "Austin", "", "Łódź")
_KINDS = {
    "user": [("user_id", pa.string()), ("age", pa.int32()), ("spent", pa.float32()),
             ("visits", pa.int64()), ("member", pa.bool_()), ("ctr_7d", pa.float32()),
             ("ctr_30d", pa.float64()), ("city", pa.string()), ("taste", pa.list_(pa.float32()))],
    "item": [("sku", pa.string()), ("price", pa.float32()), ("category", pa.string()),
             ("rank", pa.int32())],
}  # fmt: skip


def user_rows(users: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Rows of the table of users; one user in ten has none, one value in twenty is null."""
    rng = random.Random(seed)
    rows = []
    for user in users:
        row = {
            "user_id": user,
            "age": rng.randrange(18, 90),
            "spent": rng.random() * 100,
            "visits": rng.randrange(1000),
            "member": rng.random() < 0.5,
            "ctr_7d": rng.random(),
            "ctr_30d": rng.random(),
            "city": rng.choice(_CITIES),
            "taste": [rng.uniform(-1, 1) for _ in range(4)],
        }
        for name in list(row)[1:]:
            if rng.random() < 0.05:
                row[name] = None
        if rng.random() < 0.9:
            rows.append(row)
    return rows


def item_rows(skus: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Rows of the table of items."""
    rng = random.Random(seed)
    return [
        {"sku": sku, "price": rng.random() * 50, "category": rng.choice(("tea", "shoes", "books")),
         "rank": rng.randrange(100)}
        for sku in skus
    ]  # fmt: skip


def write_parquet(path: Path, table: str, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(_KINDS[table])), path)
    return path


def read_parquet(path: Path, spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a source the plain way: by key, with defaults for nulls."""
    found = {}
    for row in pq.read_table(path).to_pylist():
        values = {}
        for column in spec["columns"]:
            value = row[column["name"]]
            values[f"{spec['table']}.{column['name']}"] = (
                column.get("default") if value is None else value
            )
        found[row[spec["key"]]] = values
    return found


def make_model(
    folder: Path, seed: int, features: dict[str, Any] | None = None, rows: int = 20
) -> Path:
    """Build a small Keras model with its features and golden rows."""
    features = features or FEATURES
    folder.mkdir(parents=True, exist_ok=True)
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(seed)
    inputs, parts = [], []
    for given in features["inputs"]:
        width = sum(feature.get("width", 1) for feature in given["features"])
        tensor = keras.Input((width,), name=given["name"], dtype=given["dtype"])
        inputs.append(tensor)
        if given["dtype"] == "float32":
            parts.append(keras.layers.Rescaling(0.01)(tensor))
        else:
            most = max(feature["buckets"] for feature in given["features"])
            embedded = keras.layers.Embedding(most, 3)(tensor)
            parts.append(keras.layers.Reshape((width * 3,))(embedded))
    joined = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    hidden = keras.layers.Dense(16, activation="relu")(joined)
    out = keras.layers.Dense(1, activation="sigmoid")(hidden)
    keras.Model(inputs, out).save(folder / "model.keras")
    (folder / "features.json").write_text(json.dumps(features), encoding="utf-8")
    golden = [golden_row(features, random.Random(seed * 1000 + n)) for n in range(rows)]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in golden)
    (folder / "golden.jsonl").write_text(text, encoding="utf-8")
    return folder


def golden_row(features: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Plausible values of a model's features."""
    row: dict[str, Any] = {}
    for given in features["inputs"]:
        for feature in given["features"]:
            if "buckets" in feature:
                value: Any = rng.choice(_CITIES)
            elif feature.get("width", 1) > 1:
                value = [rng.uniform(-1, 1) for _ in range(feature["width"])]
            else:
                value = rng.uniform(0, 90)
            row[feature["feature"]] = value
    return row
