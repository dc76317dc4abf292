"""Golden rows: features with the scores that the SavedModel gave when it was published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from udfs.errors import ModelInvalid
from udfs.scoring.engine import Engine
from udfs.scoring.inputs import Inputs

GOLDEN_FILE: Final = "golden.json"
_PIECE_ROWS: Final = 256  # so that 10,000 rows of a wide model need little memory


class GoldenRow(msgspec.Struct, frozen=True):
    """One row.

    Args:
        features: Values by feature name; a name that is not there is null.
        scores: One number for each output.
    """

    features: dict[str, Any]
    scores: tuple[float, ...]


def encode_golden(rows: Sequence[GoldenRow]) -> bytes:
    """Write golden rows, one a line, the same bytes for the same content."""
    lines = [msgspec.json.encode(row, order="deterministic") for row in rows]
    return b"[" + b",\n".join(lines) + b"]\n"


def decode_golden(blob: bytes, what: str) -> list[GoldenRow]:
    """Read golden rows.

    Args:
        blob: Of `encode_golden`.
        what: Names the model.

    Raises:
        ModelInvalid: Not golden rows, or none.
    """
    try:
        rows = msgspec.json.decode(blob, type=list[GoldenRow])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"{what}: {GOLDEN_FILE} holds no golden rows: {error}") from error
    if not rows:
        raise ModelInvalid(f"{what}: {GOLDEN_FILE} is empty; publish the model with golden rows")
    return rows


def score_all(
    engine: Engine, inputs: Inputs, rows: Sequence[dict[str, Any]]
) -> NDArray[np.float32]:
    """Score any number of rows, piece by piece.

    Args:
        engine: Of the model.
        inputs: Of the model.
        rows: Values by feature name.

    Returns:
        ``(rows, outputs)``.
    """
    pieces = [
        engine.run(inputs.tensors(rows[at : at + _PIECE_ROWS]))
        for at in range(0, len(rows), _PIECE_ROWS)
    ]
    return np.concatenate(pieces) if pieces else np.zeros((0, engine.outputs), np.float32)


def check_golden(
    engine: Engine, inputs: Inputs, rows: Sequence[GoldenRow], tolerance: float, what: str
) -> None:
    """Compare an engine's scores with the golden ones, all of them.

    Args:
        engine: Loaded.
        inputs: Of the model.
        rows: Golden ones.
        tolerance: How far a score may be off: absolutely, or relative to the golden one if that
            is above 1.
        what: Names the model, ``name@version``.

    Raises:
        ModelInvalid: One is further off, or is not finite; names the row, and how many there are.
    """
    found = score_all(engine, inputs, [row.features for row in rows])
    wrong = [
        number
        for number, (row, scores) in enumerate(zip(rows, found.tolist(), strict=True))
        if len(row.scores) != len(scores)
        or not all(map(_close, scores, row.scores, [tolerance] * len(scores)))
    ]
    if wrong:
        first = wrong[0]
        raise ModelInvalid(
            f"{what} in {engine.name}: golden row {first} scores {found[first].tolist()}, wanted "
            f"{list(rows[first].scores)} within {tolerance:g} ({len(wrong)} of {len(rows)} rows "
            "differ); publish the model again"
        )


def _close(found: float, wanted: float, tolerance: float) -> bool:
    # NaN compares false, whichever side it stands on.
    return math.isfinite(found) and abs(found - wanted) <= tolerance * max(1.0, abs(wanted))
