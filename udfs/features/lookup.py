"""Columns of one table for all decisions of a batch, with the reason for each default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from feature_dist.pointer import TablePointer
from feature_dist.row import Row
from feature_dist.values import Reader
from udfs.errors import TableInvalid, TableUnavailable

NO_KEY: Final = "NO_KEY"
"""The expression of the key has an error, or its value is null."""

NO_ROW: Final = "NO_ROW"
"""The table does not have the key."""

EXPIRED: Final = "EXPIRED"
"""The row is older than it may be."""

NULL: Final = "NULL"
"""The row is there, its column is null."""

READ_FAILED: Final = "READ_FAILED"
"""The table could not be read."""


class Source(Protocol):
    """One release of a table, as a worker holds it."""

    @property
    def release(self) -> int:
        """Which one."""

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """Look keys up.

        Raises:
            TableInvalid: A key does not belong here.
            TableUnavailable: It cannot be read.
        """


class Lookup:
    """Reads columns of one table.

    Args:
        pointer: The table.
        columns: Which ones, by their names in the table.

    Attributes:
        table: Its name.
        names: Names of the features, in the order of `columns`.
    """

    def __init__(self, pointer: TablePointer, columns: Sequence[str]) -> None:
        self.table = pointer.table
        self.names = tuple(f"{pointer.table}.{column}" for column in columns)
        schema = pointer.schema()
        self._row = Row(Reader(schema, [schema]), columns)
        self._defaults = dict(zip(self.names, self._row.defaults, strict=True))

    def fill(
        self,
        source: Source,
        keys: Sequence[str | None],
        times: Sequence[int],
        features: Sequence[dict[str, Any]],
        reasons: Sequence[dict[str, str]],
    ) -> int:
        """Add features. HOT.

        Args:
            source: The release.
            keys: One a decision; None where there is none.
            times: When each is decided, ms.
            features: Gets the values, by name.
            reasons: Gets, by feature or by table, why a value is the default.

        Returns:
            For how many decisions the read failed.
        """
        asked = [key.encode() for key in keys if key is not None]
        try:
            found = iter(source.get(asked) if asked else ())
        except (TableInvalid, TableUnavailable):
            return self._fail(features, reasons)
        failed = 0
        read, names, table = self._row.read, self.names, self.table
        for key, at, into, why in zip(keys, times, features, reasons, strict=True):
            value = next(found) if key is not None else None
            if value is None:
                into.update(self._defaults)
                why[table] = NO_KEY if key is None else NO_ROW
                continue
            try:
                row = read(value, at)
            except TableInvalid:
                into.update(self._defaults)
                why[table] = READ_FAILED
                failed += 1
                continue
            if row is None:
                into.update(self._defaults)
                why[table] = EXPIRED
                continue
            values, nulls = row
            into.update(zip(names, values))  # noqa: B905 - as many, and to check costs more
            for i in nulls:
                why[names[i]] = NULL
        return failed

    def _fail(self, features: Sequence[dict[str, Any]], reasons: Sequence[dict[str, str]]) -> int:
        for into, why in zip(features, reasons, strict=True):
            into.update(self._defaults)
            why[self.table] = READ_FAILED
        return len(features)
