"""What a table is: where its key and columns come from, and how it is spread over the workers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from feature_dist.schema import Column, Schema, read_columns
from udfs.errors import ConfigInvalid, Fault
from udfs.schemas import schema_faults, validator

BY_USER: Final = "by_user"
REPLICATED: Final = "replicated"

DEFAULT_PARTITIONS: Final = 32

# Read at import: the folder that the code was shipped to may be gone later.
validator("feature_dist", "table.schema.json")


class TableSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A checked spec.

    Args:
        table: Name.
        key: Column of the source with the key.
        distribution: `BY_USER` or `REPLICATED`.
        partitions: Parts of the table; 1 for a replicated one.
        event_time: Column of the source with the time of a row, or None.
        columns: The features.
        sources: By feature: its column of the source.
    """

    table: str
    key: str
    distribution: str
    partitions: int
    event_time: str | None
    columns: tuple[Column, ...]
    sources: dict[str, str]

    def schema(self) -> Schema:
        """Give the layout of the values."""
        return Schema(self.columns)


def read_spec(raw: Any, where: str = "$") -> TableSpec:
    """Check a spec.

    Args:
        raw: As decoded from JSON or YAML; see ``table.schema.json``.
        where: JSON path, for faults.

    Raises:
        ConfigInvalid: With all faults.
    """
    faults = schema_faults("feature_dist", "table.schema.json", raw, where)
    if faults:
        raise ConfigInvalid(faults)
    columns = read_columns(raw["columns"], f"{where}.columns", faults)
    distribution = raw.get("distribution", BY_USER)
    if distribution == REPLICATED and raw.get("partitions", 1) != 1:
        problem = f"{raw['partitions']} partitions of a replicated table"
        faults.append(Fault(f"{where}.partitions", problem, "leave it out: every worker has all"))
    if faults:
        raise ConfigInvalid(faults)
    return TableSpec(
        table=raw["table"],
        key=raw["key"],
        distribution=distribution,
        partitions=1 if distribution == REPLICATED else raw.get("partitions", DEFAULT_PARTITIONS),
        event_time=raw.get("event_time"),
        columns=columns,
        sources={each["name"]: each.get("source", each["name"]) for each in raw["columns"]},
    )
