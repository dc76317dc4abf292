"""What a model reads: from the features of some rows to the tensors of a call."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from udfs.errors import ConfigInvalid, Fault
from udfs.schemas import schema_faults, validator
from udfs.scoring.packing import Feature, Packer, Row
from udfs.scoring.ports import DTYPES, Port

# Read at import: the folder that the code was shipped to may be gone later.
validator("udfs.scoring", "features.schema.json")


class Input(msgspec.Struct, frozen=True):
    """One tensor of a model.

    Args:
        name: Of the model's input.
        dtype: One of `udfs.scoring.ports.DTYPES`.
        features: Its columns, from left to right.
    """

    name: str
    dtype: str
    features: tuple[Feature, ...]


class Inputs:
    """The inputs of one model, compiled; immutable.

    Args:
        model: Name of the model.
        inputs: In the order in which engines take them; checked by `read_inputs`.
    """

    __slots__ = ("_packers", "features", "inputs", "model", "ports", "widths")

    def __init__(self, model: str, inputs: Sequence[Input]) -> None:
        self.model = model
        self.inputs: tuple[Input, ...] = tuple(inputs)
        self._packers = tuple(Packer(each.dtype, each.features) for each in inputs)
        self.features: tuple[str, ...] = tuple(
            dict.fromkeys(feature.feature for each in inputs for feature in each.features)
        )
        """Distinct names, in the order of their first use."""
        self.ports: tuple[Port, ...] = tuple(
            Port(each.name, each.dtype, packer.width)
            for each, packer in zip(inputs, self._packers, strict=True)
        )
        self.widths: Mapping[str, int] = MappingProxyType(
            {port.name: port.width for port in self.ports}
        )

    def tensors(self, rows: Sequence[Row]) -> list[NDArray[Any]]:
        """Give the tensors of some rows, one for each input. HOT.

        Null, a value that is no number, NaN, infinity and what does not fit the type are
        replaced by the feature's default; a vector with one of them, or of another length, by
        the default in all its places.

        Args:
            rows: Values by feature name. A name that is not there is null; so are rows
                that lack names slower than rows that have them with None.

        Returns:
            Arrays ``(rows, width)`` of the inputs' types, C-contiguous, not to be written to.
        """
        return [packer.tensor(rows) for packer in self._packers]

    def defaulted(self, row: Row) -> list[str]:
        """Give the features of a row of which `tensors` takes the default.

        Asked for only when somebody wants to know: it costs as much again as `tensors` of one
        row where all is well, three times that otherwise.

        Args:
            row: As for `tensors`.

        Returns:
            Distinct names, in the order of their first use.
        """
        return list(
            dict.fromkeys(itertools.chain(*[packer.defaulted(row) for packer in self._packers]))
        )

    def plain(self) -> dict[str, Any]:
        """Give what `read_inputs` reads, as plain JSON values."""
        inputs = msgspec.json.decode(msgspec.json.encode(self.inputs))
        return {"model": self.model, "inputs": inputs}


def read_inputs(raw: Any, where: str = "$") -> Inputs:
    """Check a features.json and compile it.

    Args:
        raw: As decoded from JSON; see ``features.schema.json``.
        where: JSON path, for faults.

    Raises:
        ConfigInvalid: With all faults.
    """
    faults = schema_faults("udfs.scoring", "features.schema.json", raw, where)
    if faults:
        raise ConfigInvalid(faults)
    inputs = msgspec.convert(raw["inputs"], type=tuple[Input, ...])
    names: dict[str, int] = {}
    for i, each in enumerate(inputs):
        place = f"{where}.inputs[{i}]"
        if each.name in names:
            problem = f"the input {each.name!r} stands at inputs[{names[each.name]}] already"
            faults.append(Fault(f"{place}.name", problem, "give each input a name of its own"))
        names.setdefault(each.name, i)
        for j, feature in enumerate(each.features):
            faults += _feature_faults(feature, each.dtype, f"{place}.features[{j}]")
    if faults:
        raise ConfigInvalid(faults)
    return Inputs(raw["model"], [_with_whole_defaults(each) for each in inputs])


def _with_whole_defaults(each: Input) -> Input:
    """JSON has one kind of number: 0.0 is a default of integers too."""
    if DTYPES[each.dtype].kind != "i":
        return each
    features = [msgspec.structs.replace(f, default=int(f.default)) for f in each.features]
    return msgspec.structs.replace(each, features=tuple(features))


def _feature_faults(feature: Feature, dtype: str, where: str) -> list[Fault]:
    faults = []
    if Packer(dtype, [feature]).number(feature.default) is None:
        problem = f"{feature.default!r} does not fit {dtype}"
        faults.append(Fault(f"{where}.default", problem, "write a number of that type"))
    if feature.buckets is None:
        return faults
    if feature.width != 1:
        cure = "hash single values, each a feature of its own"
        faults.append(Fault(f"{where}.width", "a vector is not hashed", cure))
    kind = DTYPES[dtype]
    if kind.kind != "i":
        problem = f"ids in an input of {dtype}"
        faults.append(Fault(f"{where}.buckets", problem, "give it to an input of int32 or int64"))
    elif feature.buckets > np.iinfo(kind).max:
        problem = f"{feature.buckets} buckets, more than {dtype} holds"
        faults.append(Fault(f"{where}.buckets", problem, "write fewer, or take int64"))
    if not 0 <= feature.default < feature.buckets:
        problem = f"{feature.default!r} is no id below {feature.buckets}"
        faults.append(Fault(f"{where}.default", problem, "write an id: from 0, below buckets"))
    return faults
