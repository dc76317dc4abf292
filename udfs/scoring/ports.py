"""The tensors that go into a model: their names, types and widths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from udfs.errors import ModelInvalid

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    name: np.dtype(name) for name in ("float32", "int32", "int64")
}


class Port(msgspec.Struct, frozen=True):
    """One input of a model, a tensor ``(rows, width)``.

    Args:
        name: Its name in the model.
        dtype: One of `DTYPES`.
        width: Numbers of a row.
    """

    name: str
    dtype: str
    width: int

    def __str__(self) -> str:
        """``numbers: float32 (rows, 10)``."""
        return f"{self.name}: {self.dtype} (rows, {self.width})"


def check_ports(wanted: Iterable[Port], found: Iterable[Port], what: str) -> None:
    """Compare what features.json declares with what a model has; the order does not matter.

    Args:
        wanted: Of features.json.
        found: Of the model.
        what: Names the model's file.

    Raises:
        ModelInvalid: They differ; says every difference.
    """
    declared = {port.name: port for port in wanted}
    there = {port.name: port for port in found}
    wrong = [f"has no input {declared[name]}" for name in declared if name not in there]
    wrong += [f"has an input {there[name]} besides" for name in there if name not in declared]
    wrong += [
        f"has {there[name]}, not {port}"
        for name, port in declared.items()
        if name in there and there[name] != port
    ]
    if wrong:
        raise ModelInvalid(
            f"{what} does not fit features.json: it {', it '.join(wrong)}; "
            "change the one or the other and publish the model again"
        )


def rows_of(ports: Sequence[tuple[str, np.dtype[Any], int]], inputs: Sequence[NDArray[Any]]) -> int:
    """Check the tensors of a call and give their number of rows. HOT.

    Args:
        ports: (name, dtype, width) of each input.
        inputs: In the same order.

    Raises:
        ValueError: Another number of tensors, another shape or type.
    """
    if len(inputs) != len(ports):
        raise ValueError(f"{len(inputs)} tensors for a model of {len(ports)} inputs")
    rows = len(inputs[0])
    for (name, dtype, width), tensor in zip(ports, inputs, strict=True):
        if tensor.shape != (rows, width) or tensor.dtype != dtype:
            raise ValueError(
                f"input {name!r} is {tensor.dtype} {tensor.shape}, not {dtype} {(rows, width)}"
            )
    return rows
