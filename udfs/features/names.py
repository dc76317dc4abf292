"""What a feature's name stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from feature_dist.pointer import TablePointer
from feature_dist.spec import BY_USER

SESSION: Final = "session"
"""Leads the names of a session's features; a table cannot be called so."""


class Column(NamedTuple):
    """A column of a table."""

    table: str
    column: str


class OfSession(NamedTuple):
    """A feature of the open session."""

    name: str


class Catalogue:
    """What flows and models may read.

    Args:
        aggregates: Their names.
        tables: Releases by table.
        session: Names of the features of sessions, whole.
    """

    def __init__(
        self,
        aggregates: Collection[str],
        tables: Mapping[str, TablePointer] | None = None,
        session: Collection[str] = (),
    ) -> None:
        self.aggregates = aggregates
        self._session = session
        self.tables = tables or {}
        self._columns = {
            table: {column.name for column in pointer.columns}
            for table, pointer in self.tables.items()
        }

    def find(self, name: str) -> Column | OfSession | None:
        """Tell what a name stands for: a column, a session's feature, or None for an aggregate.

        Raises:
            ValueError: Nothing has this name; the message says what is known.
        """
        if name in self.aggregates:
            return None
        table, dot, column = name.partition(".")
        if not dot:
            raise ValueError(
                f"no aggregate is called {name!r}; known are {_listed(self.aggregates)}"
            )
        if table == SESSION:
            if name in self._session:
                return OfSession(name)
            raise ValueError(
                f"{name!r}: sessions have no such feature; they have {_listed(self._session)}"
            )
        if table not in self.tables:
            raise ValueError(
                f"{name!r}: no table is called {table!r}; known are {_listed(self.tables)}"
            )
        if column not in self._columns[table]:
            raise ValueError(
                f"{name!r}: the table has no column {column!r}; it has "
                f"{_listed(self._columns[table])}"
            )
        return Column(table, column)

    def keyed_by_subject(self, table: str) -> bool:
        """Tell whether the rows of a table are found by the subject alone."""
        return self.tables[table].distribution == BY_USER


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
