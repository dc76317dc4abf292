"""A model trained on a sample of real advertising data, published and served: the same scores."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from configs.compare_and_set import update
from configs.watch import MANIFEST
from feature_dist.spec import read_spec
from feature_dist.store import DirectoryStore
from stack import Stack
from tests.e2e.running import Running, await_until
from udfs.runtime.config_command import compile_
from udfs.runtime.publishing import Target, publish_table, publish_version
from udfs.scoring import artifact

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "criteo_sample.txt"
NUMBERS = [f"i{n}" for n in range(1, 14)]
IDS = [f"c{n}" for n in range(1, 27)]
BUCKETS = 1_000
MISSING = 0
"""The id of a field that is empty: the model's default."""

SPEC: dict[str, Any] = {
    "table": "ad", "key": "row", "columns": [
        *({"name": name, "type": "float32"} for name in NUMBERS),
        *({"name": name, "type": "string"} for name in IDS),
    ],
}  # fmt: skip
FEATURES: dict[str, Any] = {
    "model": "criteo",
    "inputs": [
        {"name": "numbers", "dtype": "float32", "features": [
            {"feature": f"ad.{name}", "default": 0.0} for name in NUMBERS]},
        {"name": "ids", "dtype": "int32", "features": [
            {"feature": f"ad.{name}", "buckets": BUCKETS, "default": MISSING} for name in IDS]},
    ],
}  # fmt: skip
FLOW: dict[str, Any] = {
    "flow": "bid", "version": 1, "trigger": {"event": "impression"},
    "logic": [{"score": "ctr", "model": "criteo", "when": "true"}],
    "action": {"payload": {"ctr": "score.ctr"}},
}  # fmt: skip


def rows_of(path: Path) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Read the sample: features by name, and labels."""
    rows, labels = [], []
    with path.open(encoding="utf-8") as file:
        for number, raw in enumerate(csv.DictReader(file)):
            row: dict[str, Any] = {"row": f"row-{number}"}
            row |= {name: float(raw[name.upper()]) if raw[name.upper()] else None
                    for name in NUMBERS}  # fmt: skip
            row |= {name: raw[name.upper()] or None for name in IDS}
            rows.append(row)
            labels.append(float(raw["label"]))
    return rows, np.array(labels, dtype=np.float32)


def tensors_of(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Make the model's inputs the plain way."""
    numbers = [[0.0 if row[name] is None else row[name] for name in NUMBERS] for row in rows]
    ids = [
        [
            MISSING if row[name] is None
            else xxhash.xxh3_64(row[name].encode()).intdigest() % BUCKETS
            for name in IDS
        ]
        for row in rows
    ]  # fmt: skip
    return np.array(numbers, dtype=np.float32), np.array(ids, dtype=np.int32)


def train(folder: Path, rows: list[dict[str, Any]], labels: np.ndarray) -> Path:
    """Train a small network with embeddings and save what publishing wants."""
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(7)
    numbers = keras.Input((len(NUMBERS),), name="numbers", dtype="float32")
    ids = keras.Input((len(IDS),), name="ids", dtype="int32")
    scaled = keras.ops.log1p(keras.ops.maximum(numbers, 0.0))
    embedded = keras.layers.Reshape((len(IDS) * 4,))(keras.layers.Embedding(BUCKETS, 4)(ids))
    hidden = keras.layers.Concatenate()([scaled, embedded])
    hidden = keras.layers.Dense(32, activation="relu")(hidden)
    model = keras.Model([numbers, ids], keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy")
    model.fit(list(tensors_of(rows)), labels, epochs=10, batch_size=32, verbose=0)
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "features.json").write_text(json.dumps(FEATURES), encoding="utf-8")
    golden = [{f"ad.{name}": row[name] for name in (*NUMBERS, *IDS)} for row in rows[:50]]
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, golden)), encoding="utf-8")
    return folder


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name} is not part of the repository")
def test_real_rows_score_as_the_saved_model_does(stack: Stack, tmp_path: Path) -> None:
    """All 200 rows, from a table of the same rows."""
    rows, labels = rows_of(DATA)
    assert len(rows) == 200
    kinds = [("row", pa.string()), *((n, pa.float64()) for n in NUMBERS),
             *((n, pa.string()) for n in IDS)]  # fmt: skip
    source = tmp_path / "ads.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(kinds)), source)
    model = train(tmp_path / "criteo", rows, labels)
    with Running(stack, "criteo", idle_advance="off") as job:
        root = (tmp_path / "objects").as_uri()
        target = Target(job.publisher, root, compile_)
        (tmp_path / "work").mkdir()
        publish_table(target, read_spec(SPEC), source, tmp_path / "work")
        made, _ = publish_version(target, model, tmp_path / "model-work")

        def add_flow(text: str | None) -> str:
            value = json.loads(text or "")
            return json.dumps(value | {"revision": value["revision"] + 1, "flows": [FLOW]})

        update(job.publisher, MANIFEST, add_flow)
        job.start()
        job.send(*(
            {"event_id": row["row"], "event_type": "impression", "user_id": row["row"],
             "event_time": 1_750_000_000_000 + n}
            for n, row in enumerate(rows)
        ))  # fmt: skip
        decisions = await_until(
            lambda: found if len(found := job.decisions()) == len(rows) else None, "decisions"
        )
    by_row = {each["user_id"]: each for each in decisions}
    found = np.array([by_row[row["row"]]["scores"]["ctr"] for row in rows])
    directory = tmp_path / "artifact"
    artifact.fetch(made, DirectoryStore(root), directory)
    tensorflow: Any = importlib.import_module("tensorflow")
    numbers, ids = map(tensorflow.constant, tensors_of(rows))
    saved = tensorflow.saved_model.load(str(directory / "saved_model"))
    (wanted,) = saved.signatures["serving_default"](numbers=numbers, ids=ids).values()
    np.testing.assert_allclose(found, wanted.numpy()[:, 0], rtol=0, atol=1e-5)
    assert np.ptp(found) > 0.1
    print(f"largest difference {np.abs(found - wanted.numpy()[:, 0]).max():.1e}")  # noqa: T201
