"""The demo's tables and model without servers and TensorFlow: its own files, a made-up model."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from configs.assemble import assemble
from feature_dist.pointer import Blob, TablePointer
from feature_dist.publish.rows import read_rows
from feature_dist.spec import TableSpec, read_spec
from stack.demo import history
from stack.demo.offline import EXAMPLES, OFFER, SCORING, TRAINING
from stack.demo.pushed import Pushed
from stack.demo.traffic import Shop
from udfs.decisions.program import Program
from udfs.decisions.resources import Resources
from udfs.scoring.inputs import Inputs, read_inputs

_BLOB = Blob("file:///nowhere", "0" * 64, 1)


@functools.cache
def training() -> ModuleType:
    """The example that trains the model; it imports TensorFlow only when it trains."""
    spec = importlib.util.spec_from_file_location("train_click_model", TRAINING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spec_of(table: str) -> TableSpec:
    """The spec of a table."""
    return read_spec(json.loads((SCORING / f"{table}.json").read_text()))


class Rows:
    """A release of a table: a month's Parquet, in memory.

    Args:
        table: Its name.
        month: Which history, and the release.
        folder: Takes the Parquet.
    """

    def __init__(self, table: str, month: int, folder: Path) -> None:
        self.release = month
        source = folder / str(month)
        if not source.exists():
            history.write(source, 1, month, Shop())
        self._values = dict(read_rows(spec_of(table), source / f"{table}s.parquet", 0))

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """See `udfs.features.lookup.Source`."""
        return [self._values.get(key) for key in keys]


class Slope:
    """A model that sees all inputs: a logistic function of some of them, steeper each version."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.inputs: Inputs = read_inputs(training().FEATURES)

    def score(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """See `udfs.decisions.resources.Scorer`."""
        numbers, affinity, category = self.inputs.tensors(rows)
        steep = numbers[:, 4] + affinity.max(axis=1) + category[:, 0] / 32 - 1
        scores: list[float] = (1 / (1 + np.exp(-self.version * steep))).tolist()
        return scores


class Shelf:
    """All releases and versions.

    Args:
        folder: Takes files.
    """

    def __init__(self, folder: Path) -> None:
        self._rows = functools.cache(lambda table, month: Rows(table, month, folder))

    def program(self, push: Pushed, *changes: Path) -> Program:
        """The scored example configs of a revision, ready to run."""
        parts = json.loads(assemble(EXAMPLES, push.revision, [OFFER, *changes]))
        parts["features"] = [
            msgspec.to_builtins(_pointer(table, release)) for table, release in push.tables.items()
        ]
        parts["models"] = [
            {
                "model": model,
                "version": version,
                "artifact": msgspec.to_builtins(_BLOB),
                "inputs": training().FEATURES["inputs"],
                "outputs": 1,
            }
            for model, version in push.models.items()
        ]
        program = Program.compile(push.revision, parts, ["decisions"])
        program.resources = Resources(
            {table: self._rows(table, release) for table, release in push.tables.items()},
            {model: Slope(version) for model, version in push.models.items()},
        )
        return program


def _pointer(table: str, release: int) -> TablePointer:
    spec = spec_of(table)
    return TablePointer(table, release, _BLOB, spec.distribution, spec.partitions, spec.columns)
