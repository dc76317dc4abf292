"""Keras to SavedModel, SavedModel to LiteRT."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from udfs.errors import ModelInvalid
from udfs.scoring.ports import Port, check_ports
from udfs.scoring.quiet import import_tensorflow, silenced
from udfs.scoring.saved_model import SIGNATURE

_BACKEND: Final = "tensorflow"
_UNSUPPORTED: Final = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
"""What the converter says of an operator that LiteRT does not have."""


class Unsupported(Exception):
    """LiteRT lacks an operator of the model; the text names them."""


def export(keras_file: Path, ports: Sequence[Port], directory: Path) -> None:
    """Export a Keras model as a SavedModel.

    Args:
        keras_file: A functional model in the format of Keras 3.
        ports: What it must take.
        directory: Becomes the SavedModel.

    Raises:
        ModelInvalid: No such model, or one with other inputs or outputs.
    """
    keras = _import_keras()
    with silenced():
        try:
            model = keras.saving.load_model(keras_file, compile=False)
        except Exception as error:  # a damaged file ends in whatever its reader met
            raise ModelInvalid(
                f"{keras_file} is no model that Keras loads: {error}; save it with model.save()"
            ) from error
        _check(model, ports, str(keras_file))
        model.export(str(directory), format="tf_saved_model", verbose=False)


def _import_keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", _BACKEND)
    import_tensorflow()
    keras = importlib.import_module("keras")
    if keras.backend.backend() != _BACKEND:
        raise ModelInvalid(
            f"Keras runs on {keras.backend.backend()!r} here; set KERAS_BACKEND={_BACKEND} "
            "to export a SavedModel"
        )
    return keras


def _check(model: Any, ports: Sequence[Port], what: str) -> None:
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ModelInvalid(f"{what} has no declared inputs; build a functional model")
    wrong = [
        f"input {tensor.name!r} has the shape {tensor.shape}, not (None, width)"
        for tensor in inputs
        if len(tensor.shape) != 2 or tensor.shape[0] is not None or not tensor.shape[1]  # noqa: PLR2004 - rows, width
    ]
    shapes = [tensor.shape for tensor in outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or not shapes[0][1]:  # noqa: PLR2004 - rows, numbers
        wrong.append(f"the outputs have the shapes {shapes}, not one of (None, numbers)")
    if wrong:
        raise ModelInvalid(f"{what}: {'; '.join(wrong)}; build the model with such tensors")
    check_ports(ports, [Port(t.name, str(t.dtype), int(t.shape[1])) for t in inputs], what)


def convert(directory: Path) -> bytes:
    """Convert a SavedModel to LiteRT, with its own operators only.

    Args:
        directory: The SavedModel.

    Returns:
        The flat buffer.

    Raises:
        Unsupported: The model has operators that LiteRT lacks.
        ModelInvalid: It fails otherwise.
    """
    tensorflow = import_tensorflow()
    with silenced():
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(
            str(directory), signature_keys=[SIGNATURE]
        )
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS]
        try:
            found: bytes = converter.convert()
        except Exception as error:  # ConverterError, which is not public
            if lacking := sorted(set(_UNSUPPORTED.findall(str(error)))):
                raise Unsupported(", ".join(lacking)) from error
            raise ModelInvalid(f"{directory} cannot be converted to LiteRT: {error}") from error
    return found
