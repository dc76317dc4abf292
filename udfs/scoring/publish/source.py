"""What a model is published from: a directory with the model, its features and golden rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from udfs.errors import ConfigInvalid, Fault, ModelUnavailable
from udfs.scoring.artifact import FEATURES_FILE
from udfs.scoring.inputs import Inputs, read_inputs

MODEL_FILE: Final = "model.keras"
ROWS_FILE: Final = "golden.jsonl"
MAX_ROWS: Final = 10_000
"""Every worker scores them all before it takes a model."""
_SHOWN: Final = 20  # faults of golden rows; the rest is most likely the same


class Source(msgspec.Struct, frozen=True):
    """A checked source.

    Args:
        model: The Keras file.
        inputs: What the model reads.
        rows: Golden ones, values by feature name.
    """

    model: Path
    inputs: Inputs
    rows: list[dict[str, Any]]


def read_source(directory: Path) -> Source:
    """Read and check a source, but for the Keras model itself.

    Args:
        directory: With ``model.keras``, ``features.json`` and ``golden.jsonl``.

    Raises:
        ConfigInvalid: With all faults of all files.
        ModelUnavailable: A file cannot be read.
    """
    faults: list[Fault] = []
    cure = f"put it into {directory}"
    blobs = {}
    for name in (MODEL_FILE, FEATURES_FILE, ROWS_FILE):
        try:
            if name == MODEL_FILE:
                (directory / name).stat()
            else:
                blobs[name] = (directory / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            faults.append(Fault(name, "the file is missing", cure))
        except OSError as error:
            raise ModelUnavailable(f"{directory / name} cannot be read: {error}") from error
    inputs = None
    if FEATURES_FILE in blobs:
        try:
            inputs = read_inputs(_json(blobs[FEATURES_FILE], FEATURES_FILE), FEATURES_FILE)
        except ConfigInvalid as error:
            faults += error.faults
    rows = _rows(blobs[ROWS_FILE], inputs, faults) if ROWS_FILE in blobs else []
    if faults or inputs is None:
        raise ConfigInvalid(faults)
    return Source(directory / MODEL_FILE, inputs, rows)


def _json(blob: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(blob)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Fault(where, str(error), "write JSON in UTF-8")]) from error


def _rows(blob: bytes, inputs: Inputs | None, faults: list[Fault]) -> list[dict[str, Any]]:
    known = None if inputs is None else set(inputs.features)
    rows: list[dict[str, Any]] = []
    wrong: list[Fault] = []
    for number, line in enumerate(blob.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{ROWS_FILE}:{number}"
        try:
            row = _json(line, where)
        except ConfigInvalid as error:
            wrong += error.faults
            continue
        if not isinstance(row, dict):
            wrong.append(Fault(where, f"{line[:40]!r} is no object", "write values by feature"))
        elif known is not None and (strange := sorted(set(row) - known)):
            problem = f"the model does not read {', '.join(strange)}"
            wrong.append(Fault(where, problem, f"{FEATURES_FILE} names {', '.join(sorted(known))}"))
        else:
            rows.append(row)
    count = len(rows) + len(wrong)
    if not 1 <= count <= MAX_ROWS:
        cure = f"write 1 to {MAX_ROWS} rows, some hundreds are enough"
        wrong.append(Fault(ROWS_FILE, f"{count} rows", cure))
    faults += wrong[:_SHOWN]
    return rows
