"""Pointers to models: the items of the config manifest's ``models``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from udfs.errors import ConfigInvalid, Fault, ModelInvalid
from udfs.schemas import schema_faults, validator
from udfs.scoring.artifact import ModelManifest
from udfs.scoring.inputs import read_inputs

# Read at import: the folder that the code was shipped to may be gone later.
validator("udfs.scoring", "pointer.schema.json")


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model's manifest lies and what must be in it.

    Args:
        uri: e.g. ``file:///srv/models/ab/abcd…``.
        sha256: 64 lower-case hex digits.
        bytes: Its length.
    """

    uri: str
    sha256: str
    bytes: int


class ModelPointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which version of a model is to run.

    Args:
        model: Name.
        version: Of the artifact.
        artifact: Its manifest.
        inputs: The list ``inputs`` of its features.json, once resolved.
        outputs: How many numbers a row gets, once resolved.
    """

    model: str
    version: int
    artifact: Artifact
    inputs: list[dict[str, Any]] | None = None
    outputs: int | None = None

    def resolved(self, manifest: ModelManifest) -> ModelPointer:
        """Take over what flows must know of the model before it is loaded.

        Args:
            manifest: What the artifact holds.

        Raises:
            ModelInvalid: It is that of another model or version.
        """
        if (manifest.model, manifest.version) != (self.model, self.version):
            raise ModelInvalid(
                f"{self.artifact.uri} is {manifest.label}, the pointer says "
                f"{self.model}@{self.version}; point to the artifact that publishing gave"
            )
        return msgspec.structs.replace(
            self, inputs=manifest.inputs["inputs"], outputs=manifest.outputs
        )

    def plain(self) -> dict[str, Any]:
        """Give what `read_pointers` reads, as plain JSON values."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def read_pointers(items: Sequence[Any], where: str = "models") -> list[ModelPointer]:
    """Check the pointers of a manifest.

    Args:
        items: As decoded from JSON; see ``pointer.schema.json``.
        where: JSON path of the list.

    Raises:
        ConfigInvalid: With all faults of all pointers.
    """
    found: list[ModelPointer] = []
    faults: list[Fault] = []
    names: dict[str, int] = {}
    for i, item in enumerate(items):
        place = f"{where}[{i}]"
        wrong = schema_faults("udfs.scoring", "pointer.schema.json", item, place)
        if not wrong and "inputs" in item:
            wrong = _input_faults(item, place)
        if wrong:
            faults += wrong
            continue
        pointer = msgspec.convert(item, type=ModelPointer)
        if pointer.model in names:
            problem = f"{pointer.model!r} stands at {where}[{names[pointer.model]}] already"
            faults.append(Fault(f"{place}.model", problem, "one version of a model is pushed"))
        names.setdefault(pointer.model, i)
        found.append(pointer)
    if faults:
        raise ConfigInvalid(faults)
    return found


def _input_faults(item: dict[str, Any], where: str) -> list[Fault]:
    try:
        read_inputs({"model": item["model"], "inputs": item["inputs"]}, where)
    except ConfigInvalid as error:
        return list(error.faults)
    return []
