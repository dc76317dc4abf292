"""A small click model: its source, rows for it, and its published versions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feature_dist.store import DirectoryStore
from udfs.scoring.artifact import ModelManifest
from udfs.scoring.inputs import Inputs, read_inputs
from udfs.scoring.publish import publish_model
from udfs.scoring.quiet import import_tensorflow

NOW_MS = 1_760_000_000_000

NUMBERS = ("user.age", "views_1m", "spend_10m")
FEATURES: dict[str, Any] = {
    "model": "ctr_small",
    "inputs": [
        {
            "name": "numbers",
            "dtype": "float32",
            "features": [
                *({"feature": name, "default": 0.0} for name in NUMBERS),
                {"feature": "item.taste", "width": 4, "default": 0.0},
            ],
        },
        {
            "name": "ids",
            "dtype": "int32",
            "features": [
                {"feature": "item.sku", "buckets": 50, "default": 0},
                {"feature": "item.shop", "buckets": 50, "default": 0},
            ],
        },
    ],
}


def inputs() -> Inputs:
    """What the model reads."""
    return read_inputs(FEATURES)


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Values by feature name, nulls among them."""
    rng = random.Random(seed)
    return [
        {
            **{name: rng.choice([None, rng.gauss(0, 1), rng.randrange(9)]) for name in NUMBERS},
            "item.taste": rng.choice([None, [rng.random() for _ in range(4)]]),
            "item.sku": rng.choice([None, f"sku-{rng.randrange(200)}"]),
            "item.shop": rng.choice([None, rng.randrange(200)]),
        }
        for _ in range(count)
    ]


def network(*, seed: int = 1, outputs: int = 1, last: Callable[[Any], Any] | None = None) -> Any:
    """A Keras model with the inputs of `FEATURES`.

    Args:
        seed: Of its weights.
        outputs: Numbers of a row.
        last: From the last dense layer to the output; the logistic function by default.
    """
    import_tensorflow()
    import keras  # noqa: PLC0415 - after TensorFlow was made quiet

    keras.utils.set_random_seed(seed)
    numbers = keras.Input((7,), name="numbers")
    ids = keras.Input((2,), name="ids", dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(50, 4)(ids))
    x = keras.layers.Concatenate()([numbers, embedded])
    x = keras.layers.Dense(16, activation="relu")(x)
    x = keras.layers.Dense(outputs, bias_initializer="normal")(x)
    x = keras.ops.sigmoid(x) if last is None else last(x)
    return keras.Model([numbers, ids], x)


def write_source(
    path: Path, model: Any, golden: int = 100, features: dict[str, Any] | None = None
) -> Path:
    """Write a source of `publish_model`."""
    path.mkdir(parents=True, exist_ok=True)
    model.save(path / "model.keras")
    (path / "features.json").write_text(json.dumps(FEATURES if features is None else features))
    lines = [json.dumps(row) + "\n" for row in rows(golden)]
    (path / "golden.jsonl").write_text("".join(lines))
    return path


class Published:
    """A version of the model, where it lies, and what was told of it."""

    def __init__(self, path: Path, source: Path, version: int = 1) -> None:
        self.path = path
        self.store = DirectoryStore((path / "store").as_uri())
        self.told: list[str] = []
        self.manifest: ModelManifest = publish_model(
            source, self.store, version, NOW_MS, path / "work", self.told.append
        )
        self.directory = path / "work" / "fetched"

    def stored(self, name: str) -> Path:
        """One of its files in the store."""
        (sha256,) = [file.sha256 for file in self.manifest.files if file.path == name]
        return self.path / "store" / sha256[:2] / sha256
