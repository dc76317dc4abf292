"""What a config manifest says of a table: which release, and how its columns are read.

A published pointer is ``{"table", "release", "manifest": {"uri", "sha256", "bytes"}}``. Whoever
resolves a manifest completes it with the layout from the table's own manifest, so that flows
compile wherever the config is, without a look at the object store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from feature_dist.manifest import TableManifest, decode_manifest
from feature_dist.schema import Column, Schema
from udfs.errors import ConfigInvalid, Fault, TableInvalid

_HASH_DIGITS: Final = 64


class Blob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a blob lies and what must be in it.

    Args:
        uri: For example ``file:///srv/objects/ab/abcd…``.
        sha256: In hex.
        bytes: Its length.
    """

    uri: str
    sha256: str
    bytes: int


class TablePointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One release of one table.

    Args:
        table: Name.
        release: Of the table.
        manifest: The table's manifest.
        distribution: Of the table; empty until completed.
        partitions: Of the table.
        columns: Of the table.
    """

    table: str
    release: int
    manifest: Blob
    distribution: str = ""
    partitions: int = 0
    columns: tuple[Column, ...] = ()

    def completed(self, blob: bytes, where: str = "features") -> TablePointer:
        """Add what the table's manifest says.

        Args:
            blob: The manifest.
            where: JSON path of the pointer.

        Raises:
            ConfigInvalid: It is no manifest, or one of another table or release.
        """
        try:
            manifest = decode_manifest(blob)
        except TableInvalid as error:
            fault = Fault(f"{where}.manifest", str(error), "publish the table again")
            raise ConfigInvalid([fault]) from error
        if (manifest.table, manifest.release) != (self.table, self.release):
            problem = (
                f"{self.manifest.uri} is {manifest.table}@{manifest.release}, "
                f"not {self.table}@{self.release}"
            )
            cure = "let 'millrace table publish' write the pointer"
            raise ConfigInvalid([Fault(f"{where}.manifest", problem, cure)])
        return msgspec.structs.replace(
            self,
            distribution=manifest.distribution,
            partitions=manifest.partitions,
            columns=manifest.columns,
        )

    def schema(self) -> Schema:
        """Give the layout of the values."""
        return Schema(self.columns)


def pointer_to(manifest: TableManifest, uri: str, sha256: str, size: int) -> TablePointer:
    """Make the pointer that is published."""
    return TablePointer(manifest.table, manifest.release, Blob(uri, sha256, size))


def read_pointers(items: Sequence[Any], where: str = "features") -> list[TablePointer]:
    """Read a manifest's part.

    Args:
        items: As decoded from JSON.
        where: JSON path of the list.

    Raises:
        ConfigInvalid: With all faults.
    """
    faults: list[Fault] = []
    found: dict[str, TablePointer] = {}
    for i, item in enumerate(items):
        place = f"{where}[{i}]"
        cure = "let 'millrace table publish' write it"
        try:
            pointer = msgspec.convert(item, TablePointer)
        except msgspec.ValidationError as error:
            faults.append(Fault(place, f"is no pointer to a table: {error}", cure))
            continue
        problem = _wrong(pointer)
        if problem:
            faults.append(Fault(place, problem, cure))
        if pointer.table in found:
            faults.append(Fault(f"{place}.table", f"{pointer.table!r} is there twice", cure))
        found[pointer.table] = pointer
    if faults:
        raise ConfigInvalid(faults)
    return list(found.values())


def _wrong(pointer: TablePointer) -> str:
    if pointer.release < 1:
        return f"release {pointer.release}, releases begin with 1"
    digest = pointer.manifest.sha256
    if len(digest) != _HASH_DIGITS or set(digest) - set("0123456789abcdef"):
        return f"{digest!r} is no SHA-256 in lower-case hex"
    return ""
