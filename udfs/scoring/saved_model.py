"""A TensorFlow SavedModel: the truth that other engines are compared with, and slow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from udfs.errors import ModelInvalid
from udfs.scoring.engine import SAVED_MODEL
from udfs.scoring.ports import DTYPES, Port, check_ports, rows_of
from udfs.scoring.quiet import import_tensorflow

SIGNATURE: Final = "serving_default"
_WARMING: Final = (1, 2, 32)
"""Batch sizes run when loading: the first calls trace and plan, 0.1 s."""


class SavedModelEngine:
    """A model that runs in TensorFlow, by its serving signature.

    Args:
        directory: Of the SavedModel.
        ports: What it must take, in the order of `run`.

    Raises:
        ModelInvalid: No SavedModel, one that does not run, or one with other inputs or outputs.
    """

    def __init__(self, directory: Path, ports: Sequence[Port]) -> None:
        self.name = SAVED_MODEL
        self._ports = [(port.name, DTYPES[port.dtype], port.width) for port in ports]
        self._names = [port.name for port in ports]
        self._tensorflow = import_tensorflow()
        try:
            self._loaded = self._tensorflow.saved_model.load(str(directory))
        except Exception as error:  # a damaged file ends in whatever its reader met
            raise ModelInvalid(
                f"{directory} is no SavedModel that can be loaded: {error}; publish the model again"
            ) from error
        signature = self._loaded.signatures.get(SIGNATURE)
        if signature is None:
            raise ModelInvalid(f"{directory} has no signature {SIGNATURE!r}; export it with one")
        found = [
            _port(name, spec) for name, spec in signature.structured_input_signature[1].items()
        ]
        check_ports(ports, found, str(directory))
        self._output, self.outputs = self._the_output(signature, str(directory))
        self._signature: Any = signature
        for rows in _WARMING:
            self.run([np.zeros((rows, port.width), DTYPES[port.dtype]) for port in ports])

    def _the_output(self, signature: Any, what: str) -> tuple[str, int]:
        specs = signature.structured_outputs
        if len(specs) == 1:
            ((name, spec),) = specs.items()
            shape = spec.shape.as_list() if spec.shape.rank is not None else []
            if len(shape) == 2 and shape[1] and spec.dtype == self._tensorflow.float32:  # noqa: PLR2004 - rows, numbers
                return name, shape[1]
        raise ModelInvalid(
            f"{what} has the outputs {specs}; build it with one of float32 (rows, numbers)"
        )

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """See `Engine`.

        The signature by keyword costs 390 to 480 µs for 1 row and 32 alike, on the machine where
        LiteRT needs 7 and 11; the function behind it, which is not public, 280.
        """
        rows = rows_of(self._ports, inputs)
        if self._signature is None:
            raise ModelInvalid("the model is closed; load it again")
        constant = self._tensorflow.constant
        tensors = {name: constant(x) for name, x in zip(self._names, inputs, strict=True)}
        try:
            found = self._signature(**tensors)
        except self._tensorflow.errors.OpError as error:
            raise ModelInvalid(f"TensorFlow failed on {rows} rows: {error}") from error
        scores: NDArray[np.float32] = found[self._output].numpy().copy()
        return scores

    def close(self) -> None:
        """See `Engine`."""
        self._signature = None
        self._loaded = None


def _port(name: str, spec: Any) -> Port:
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if len(shape) == 2 and shape[0] is None and shape[1]:  # noqa: PLR2004 - rows, width
        return Port(name, spec.dtype.name, shape[1])
    return Port(name, f"{spec.dtype.name} {tuple(shape)}", -1)
