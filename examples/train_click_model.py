"""Trains a small click model on logged offers, and writes what `millrace model publish` takes.

    python -m stack.demo.history history
    python examples/train_click_model.py history --to ctr_small

The first command simulates a history; its users.parquet and items.parquet are also what is
published as the tables `user` and `item` (configs/examples/scoring). The second one reads

    users.parquet, items.parquet   features by key, as in the tables
    clicks.parquet                 offers: user_id, sku, aggregates at that time, clicked (0 or 1)

and writes model.keras, features.json and golden.jsonl. The last fifth of the offers is held out:
it gives the AUC, and some of it become the golden rows. With --start-from the weights of an
earlier model are trained further, on offers that it has not seen.

Rows become tensors by the code that does it in the job, `udfs.scoring.inputs`, so that training
and serving cannot read a feature differently.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from udfs.scoring.inputs import read_inputs

BUCKETS = 32
CATEGORIES = 6

FEATURES: dict[str, Any] = {
    "model": "ctr_small",
    "inputs": [
        {"name": "numbers", "dtype": "float32", "features": [
            {"feature": "user.age_band", "default": 3},
            {"feature": "user.lifetime_spend", "default": 0.0},
            {"feature": "user.visits", "default": 0},
            {"feature": "item.price", "default": 55.0},
            {"feature": "item.popularity", "default": 0.0},
            {"feature": "views_1m", "default": 0}]},
        {"name": "affinity", "dtype": "float32", "features": [
            {"feature": "user.affinity", "width": CATEGORIES, "default": 1 / CATEGORIES}]},
        {"name": "category", "dtype": "int32", "features": [
            {"feature": "item.category", "buckets": BUCKETS, "default": 0}]},
    ],
}  # fmt: skip

_HELD_OUT = 0.2
_GOLDEN = 200
_EPOCHS = 5
_BATCH = 256
_RATE = 0.005
_FAR = 3.0  # a number is cut so many standard deviations from its mean

Row = dict[str, Any]


def joined(
    clicks: Sequence[Row], users: Mapping[str, Row], items: Mapping[str, Row]
) -> tuple[list[Row], list[int]]:
    """Give the features of each offer by their names in the job, and whether it was clicked on.

    Args:
        clicks: Rows of clicks.parquet.
        users: Rows of users.parquet by user; one that is not there has nulls, as in the job.
        items: Rows of items.parquet by SKU.
    """
    tables = {"user": (users, "user_id"), "item": (items, "sku")}
    names = [feature["feature"] for each in FEATURES["inputs"] for feature in each["features"]]
    rows = []
    for click in clicks:
        row: Row = {}
        for name in names:
            table, _, column = name.rpartition(".")
            if table:
                source, key = tables[table]
                row[name] = source.get(click[key], {}).get(column)
            else:
                row[name] = click[column]
        rows.append(row)
    return rows, [click["clicked"] for click in clicks]


def read(history: Path) -> tuple[list[Row], list[int]]:
    """Read the offers of a history."""
    users, items, clicks = (
        pq.read_table(history / f"{name}.parquet").to_pylist()
        for name in ("users", "items", "clicks")
    )
    return joined(
        clicks, {row["user_id"]: row for row in users}, {row["sku"]: row for row in items}
    )


def build(numbers: NDArray[Any]) -> Any:
    """Give an untrained model.

    Args:
        numbers: That input's rows in training, (rows, width): of them it takes the scale.
    """
    keras: Any = importlib.import_module("keras")
    layers = keras.layers
    scale = layers.Normalization()
    scale.adapt(numbers)
    inputs = [
        keras.Input((numbers.shape[1],), name="numbers"),
        keras.Input((CATEGORIES,), name="affinity"),
        keras.Input((1,), name="category", dtype="int32"),
    ]
    scaled = keras.ops.clip(scale(inputs[0]), -_FAR, _FAR)
    # One number for each share of the user's affinity, by the item's category.
    category = layers.Reshape((CATEGORIES,))(layers.Embedding(BUCKETS, CATEGORIES)(inputs[2]))
    taste = layers.Multiply()([category, inputs[1]])
    hidden = layers.Concatenate()([scaled, inputs[1], taste])
    for width in (32, 16):
        hidden = layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))


def auc(scores: NDArray[Any], clicked: NDArray[Any]) -> float:
    """Give the probability that a clicked offer has a higher score than another (Mann-Whitney).

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # equal scores share their ranks
    yes = int(clicked.sum())
    return float((ranks[clicked == 1].sum() - yes * (yes + 1) / 2) / (yes * (len(clicked) - yes)))


def train(history: Path, to: Path, start_from: Path | None, seed: int) -> str:
    """Train, and write the three files.

    Args:
        history: Folder with the Parquet files.
        to: Folder for the files; made if absent.
        start_from: Such a folder of an earlier model, or None: begin anew.
        seed: Of the first weights, and of the order of the rows.

    Returns:
        What came of it, in a line.
    """
    begin_s = time.monotonic()
    rows, labels = read(history)
    tensors, clicked = read_inputs(FEATURES).tensors(rows), np.array(labels)
    cut = round(len(rows) * (1 - _HELD_OUT))

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(seed)
    if start_from is None:
        model = build(tensors[0][:cut])
    else:
        model = keras.models.load_model(start_from / "model.keras")
    model.compile(keras.optimizers.Adam(_RATE), "binary_crossentropy")

    def held_out() -> float:
        scores = model.predict([each[cut:] for each in tensors], batch_size=1_000, verbose=0)
        return auc(scores[:, 0], clicked[cut:])

    before = held_out()
    model.fit(
        [each[:cut] for each in tensors], clicked[:cut], epochs=_EPOCHS, batch_size=_BATCH,
        verbose=0,
    )  # fmt: skip
    after = held_out()

    to.mkdir(parents=True, exist_ok=True)
    model.save(to / "model.keras")
    (to / "features.json").write_text(json.dumps(FEATURES, indent=1), encoding="utf-8")
    golden = "".join(f"{json.dumps(row)}\n" for row in rows[cut : cut + _GOLDEN])
    (to / "golden.jsonl").write_text(golden, encoding="utf-8")
    return (
        f"{FEATURES['model']}: trained on {cut:,} offers in {time.monotonic() - begin_s:.1f} s; "
        f"AUC on {len(rows) - cut:,} others {before:.3f} before, {after:.3f} after"
    )


def main() -> None:
    """Train a model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("history", type=Path, help="folder with the Parquet files")
    parser.add_argument("--to", type=Path, required=True, help="folder for the model")
    parser.add_argument("--start-from", type=Path, help="folder of an earlier model")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(train(given.history, given.to, given.start_from, given.seed))


if __name__ == "__main__":
    main()
