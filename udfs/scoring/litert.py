"""LiteRT, the fast engine: a model as one flat file, run by an interpreter without a graph.

An interpreter has one batch size at a time, and changing it allocates everything anew. So there
is one for each size of a small ladder, made and warmed when the model is loaded; a batch is
padded to the next size, or cut into pieces of the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from udfs.errors import ModelInvalid, ModelUnavailable
from udfs.scoring.engine import LITERT
from udfs.scoring.ports import DTYPES, Port, check_ports, rows_of

LADDER: Final = (1, 4, 16, 32)
"""Batch sizes. Each holds the weights of dense layers once more, packed for the processor."""


class LiteRtEngine:
    """A model that runs in LiteRT.

    The file is read once and shared by the interpreters: it may be deleted or changed afterwards.
    What is no flat buffer is refused before anything of it is used. A wrong bit in the
    weights is not noticed here but by its SHA-256 and the golden rows (`udfs.scoring.model`).

    Args:
        path: The ``.tflite`` file.
        ports: What it must take, in the order of `run`.

    Raises:
        ModelUnavailable: The file cannot be read.
        ModelInvalid: No model, one that does not run, or one with other inputs or outputs.
    """

    def __init__(self, path: Path, ports: Sequence[Port]) -> None:
        self.name = LITERT
        self._ports = [(port.name, DTYPES[port.dtype], port.width) for port in ports]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelUnavailable(f"{path} cannot be read: {error}") from error
        try:
            found, indices, self.outputs = _signature(content, str(path))
            check_ports(ports, found, str(path))
            order = [indices[port.name] for port in ports]
            self._cores = [_Core(content, order, ports, size) for size in LADDER]
        except (ValueError, RuntimeError) as error:
            raise ModelInvalid(
                f"{path} is no model that LiteRT runs: {error}; publish the model again"
            ) from error

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """See `Engine`."""
        rows = rows_of(self._ports, inputs)
        try:
            for core in self._cores:
                if rows <= core.size:
                    return core.run(inputs, rows)
            return self._in_pieces(inputs, rows)
        except RuntimeError as error:
            raise ModelInvalid(f"LiteRT failed on {rows} rows: {error}") from error

    def _in_pieces(self, inputs: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float32]:
        if not self._cores:
            raise ModelInvalid("the model is closed; load it again")
        size = LADDER[-1]
        return np.concatenate(
            [self.run([x[at : at + size] for x in inputs]) for at in range(0, rows, size)]
        )

    def close(self) -> None:
        """See `Engine`."""
        self._cores = []


class _Core:
    """An interpreter of one batch size."""

    def __init__(
        self, content: bytes, indices: Sequence[int], ports: Sequence[Port], size: int
    ) -> None:
        self.size = size
        self._interpreter = _interpreter(content)
        self._indices = indices
        for index, port in zip(indices, ports, strict=True):
            self._interpreter.resize_tensor_input(index, (size, port.width), strict=True)
        self._interpreter.allocate_tensors()
        (output,) = self._interpreter.get_output_details()
        self._output = output["index"]
        self._padded = [np.zeros((size, port.width), DTYPES[port.dtype]) for port in ports]
        self.run(self._padded, size)  # the first call packs weights and is slow

    def run(self, inputs: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float32]:
        """Score at most `size` rows. HOT.

        set_tensor, invoke, get_tensor: 7.2 µs for 1 row and 11.5 µs for 32 (13 k parameters, 4.1
        and 8.6 of them in invoke). Writing into views of `tensor()`: 8.8 and 13.6. The signature
        runner: 17.5 and 16 or more. CompiledModel: 20. The wrapped object without its Python
        shell, which is not public: 5.8 and 10.9.
        """
        interpreter = self._interpreter
        if rows < self.size:
            for tensor, padded in zip(inputs, self._padded, strict=True):
                padded[:rows] = tensor  # rows of an earlier call may stay below; they are cut off
            inputs = self._padded
        for index, tensor in zip(self._indices, inputs, strict=True):
            interpreter.set_tensor(index, tensor)
        interpreter.invoke()
        scores: NDArray[np.float32] = interpreter.get_tensor(self._output)  # a copy
        return scores[:rows] if rows < self.size else scores


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - costs 0.2 s

    return Interpreter(model_content=content, num_threads=1)


def _signature(content: bytes, what: str) -> tuple[list[Port], dict[str, int], int]:
    """Give the inputs, the tensors behind them and the width of the output."""
    if not content:
        raise ModelInvalid(f"{what} is empty; publish the model again")
    interpreter = _interpreter(content)
    runner = interpreter.get_signature_runner()
    found, indices = [], {}
    for name, detail in runner.get_input_details().items():
        shape = tuple(int(each) for each in detail["shape_signature"])
        found.append(_port(name, shape, np.dtype(detail["dtype"])))
        indices[name] = detail["index"]
    outputs = list(interpreter.get_output_details())
    shapes = [tuple(int(each) for each in detail["shape"]) for detail in outputs]
    if len(outputs) != 1 or len(shapes[0]) != 2 or outputs[0]["dtype"] is not np.float32:  # noqa: PLR2004 - rows, numbers
        raise ModelInvalid(
            f"{what} has outputs of shape {shapes}; build it with one of float32 (rows, numbers)"
        )
    return found, indices, shapes[0][1]


def _port(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Port:
    if len(shape) == 2:  # noqa: PLR2004 - rows, width
        return Port(name, dtype.name, shape[1])
    return Port(name, f"{dtype.name} {shape}", -1)
