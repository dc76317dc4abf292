"""A model that is loaded, warmed and compared with its golden rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from udfs.errors import ModelInvalid, ModelUnavailable
from udfs.scoring.artifact import FEATURES_FILE, ModelManifest, check_files
from udfs.scoring.engine import (
    ENGINES,
    LITERT,
    LITERT_FILE,
    SAVED_MODEL_DIRECTORY,
    Engine,
)
from udfs.scoring.golden import GOLDEN_FILE, check_golden, decode_golden
from udfs.scoring.inputs import Inputs, read_inputs
from udfs.scoring.litert import LiteRtEngine
from udfs.scoring.packing import Row
from udfs.scoring.saved_model import SavedModelEngine

Score = float | list[float] | None
"""Of one row: a number, several, or None where one of them is not finite."""


class Model:
    """A loaded model. For one thread at a time.

    Args:
        name: Its name.
        version: Its version.
        inputs: What it reads.
        engine: What runs it.
    """

    __slots__ = ("_alone", "engine", "features", "inputs", "name", "version")

    def __init__(self, name: str, version: int, inputs: Inputs, engine: Engine) -> None:
        self.name = name
        self.version = version
        self.inputs = inputs
        self.features: Final = inputs.features
        self.engine = engine
        self._alone = engine.outputs == 1

    def score(self, rows: Sequence[Row]) -> Sequence[Score]:
        """Score some rows in one call. HOT.

        Args:
            rows: Values by feature name, see `Inputs.tensors`.

        Returns:
            For each row a number, or a list of them if the model has several outputs; None
            where one of a row's numbers is not finite.

        Raises:
            ModelInvalid: The engine failed.
        """
        scores = self.engine.run(self.inputs.tensors(rows))
        if self._alone:
            if len(rows) == 1:  # most batches have one: nothing needs to be gathered
                alone: float = scores.item()
                return [alone if math.isfinite(alone) else None]
            numbers: list[float] = scores.ravel().tolist()
            # One sum shows whether all are finite; which of them is not is asked seldom.
            if math.isfinite(sum(numbers)):
                return numbers
            return [number if math.isfinite(number) else None for number in numbers]
        lists: list[list[float]] = scores.tolist()
        return [each if all(map(math.isfinite, each)) else None for each in lists]

    def close(self) -> None:
        """Give its memory back; it must not be asked any more."""
        self.engine.close()


def load(
    directory: Path, manifest: ModelManifest, engine: str = LITERT, *, tried: bool = False
) -> Model:
    """Load a model, warm it and compare it with its golden rows.

    The files are verified once more before anything reads them: they may lie here since long.

    Args:
        directory: Where `udfs.scoring.artifact.fetch` put the files.
        manifest: Of the model.
        engine: One of `udfs.scoring.engine.ENGINES`.
        tried: Another process of this machine has just loaded the same files in the same engine:
            nothing is compared again, so that a worker is held up for milliseconds only.

    Raises:
        ModelInvalid: A file is not what the manifest says; the engine is not in the artifact,
            cannot load the model, or has other inputs or outputs; a golden row scores otherwise.
        ModelUnavailable: A file cannot be read.
    """
    if engine not in manifest.engines:
        raise ModelInvalid(
            f"{manifest.label} was published for {', '.join(manifest.engines)}, not for "
            f"{engine!r}; choose one of those"
            + (", or publish it again" if engine in ENGINES else "")
        )
    inputs = read_inputs(manifest.inputs)
    if tried:
        return Model(manifest.model, manifest.version, inputs, _engine(engine, directory, inputs))
    check_files(manifest, directory)
    features, golden = (_read(directory / name) for name in (FEATURES_FILE, GOLDEN_FILE))
    if _json(features) != inputs.plain():
        raise ModelInvalid(
            f"{manifest.label}: {FEATURES_FILE} is not what its manifest says; publish it again"
        )
    rows = decode_golden(golden, manifest.label)
    running = _engine(engine, directory, inputs)
    try:
        if running.outputs != manifest.outputs:
            raise ModelInvalid(
                f"{manifest.label} in {engine} gives {running.outputs} numbers a row, its "
                f"manifest says {manifest.outputs}; publish it again"
            )
        check_golden(running, inputs, rows, manifest.tolerance, manifest.label)
    except ModelInvalid:
        running.close()
        raise
    return Model(manifest.model, manifest.version, inputs, running)


def _engine(name: str, directory: Path, inputs: Inputs) -> Engine:
    if name == LITERT:
        return LiteRtEngine(directory / LITERT_FILE, inputs.ports)
    return SavedModelEngine(directory / SAVED_MODEL_DIRECTORY, inputs.ports)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        cure = "fetch the model again"
        raise ModelUnavailable(f"{path} cannot be read: {error}; {cure}") from error


def _json(blob: bytes) -> object:
    try:
        return msgspec.json.decode(blob)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
