"""Specs as they lie in files: one aggregate, a list of them, or a part of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from udfs.aggregation.plan import Plan
from udfs.errors import ConfigInvalid, Fault
from udfs.terminal.json_files import in_file, read_json


class SpecFile(msgspec.Struct, frozen=True):
    """The specs of one file.

    Args:
        name: Of the file, for messages.
        specs: As decoded from JSON.
        place: JSON path of the list.
        alone: Whether the file is one aggregate and not a list.
    """

    name: str
    specs: Any
    place: str
    alone: bool

    def compile(self) -> Plan:
        """Compile the specs.

        Raises:
            ConfigInvalid: With all their faults, each with the file's name in its place.
        """
        try:
            return Plan.compile(self.specs, where=self.place)
        except ConfigInvalid as error:
            raise in_file(error, self.name, self.place, alone=self.alone) from None


def read_spec_file(path: Path) -> SpecFile:
    """Read the specs of a file; they are not checked yet.

    Args:
        path: Of a file with JSON.

    Raises:
        ConfigInvalid: The file cannot be read, or has no aggregates in it.
    """
    name, value = str(path), read_json(path)
    if isinstance(value, list):
        return SpecFile(name, value, "$", alone=False)
    if isinstance(value, dict) and "aggregates" in value:
        return SpecFile(name, value["aggregates"], "$.aggregates", alone=False)
    if isinstance(value, dict) and "aggregate" in value:
        return SpecFile(name, [value], "$", alone=True)
    raise ConfigInvalid(
        [Fault(name, "has no aggregates", "write an aggregate, a list, or a manifest with them")]
    )
