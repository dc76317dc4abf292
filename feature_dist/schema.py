"""Columns of a feature table: names, types, defaults, and where each lies in a value.

The layout is written down in docs/feature-format.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from udfs.errors import Fault

SCALARS: Final[Mapping[str, str]] = {
    "bool": "?", "int8": "i1", "int32": "<i4", "int64": "<i8", "float32": "<f4", "float64": "<f8",
}  # fmt: skip
"""Types of one number, as NumPy spells them."""

ELEMENTS: Final[Mapping[str, str]] = {"int8": "i1", "float16": "<f2", "float32": "<f4"}
"""Element types of vectors."""

TEXT: Final = "string"

MOST_COLUMNS: Final = 2_000
LONGEST_VECTOR: Final = 4_096

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_VECTOR: Final = re.compile(r"([a-z0-9]+)\[([1-9][0-9]{0,4})\]")


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column.

    Args:
        name: Lower case letters, digits and underscores.
        type: One of `SCALARS`, `TEXT`, or ``float32[8]``: an element type and a length.
        default: What a null, or a key that is not there, is read as; None: null.
    """

    name: str
    type: str
    default: bool | int | float | str | tuple[float, ...] | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return self.type == TEXT

    @property
    def length(self) -> int | None:
        """Elements of a vector, None for anything else."""
        found = _VECTOR.fullmatch(self.type)
        return int(found[2]) if found else None

    @property
    def width(self) -> int:
        """Numbers that it contributes to a matrix."""
        return self.length or 1

    def dtype(self) -> tuple[str, str] | tuple[str, str, tuple[int]]:
        """Give the field of a NumPy structure; not for strings."""
        found = _VECTOR.fullmatch(self.type)
        if found:
            return self.name, ELEMENTS[found[1]], (int(found[2]),)
        return self.name, SCALARS[self.type]


class Schema:
    """Columns in their order; knows where the fixed ones lie.

    Args:
        columns: At least one; names are distinct.

    Attributes:
        id: 32 bits that tell this layout from others: names, types and their order.
        fixed: Columns of fixed width, in order.
        texts: The others, in order.
        head: NumPy structure of a value up to the end of its fixed columns.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.by_name = {column.name: column for column in columns}
        self.position = {column.name: i for i, column in enumerate(columns)}
        layout = msgspec.json.encode([[column.name, column.type] for column in columns])
        self.id = int.from_bytes(hashlib.sha256(layout).digest()[:4], "little")
        self.fixed = tuple(column for column in columns if not column.is_text)
        self.texts = tuple(column for column in columns if column.is_text)
        self.head = np.dtype(
            [
                ("#version", "u1"), ("#schema", "<u4"), ("#event_time", "<i8"),
                ("#expires", "<i8"), ("#nulls", "u1", ((len(self.columns) + 7) // 8,)),
                *(column.dtype() for column in self.fixed),
            ]
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)

    def __repr__(self) -> str:
        return f"Schema({', '.join(f'{c.name} {c.type}' for c in self.columns)})"


def read_columns(raw: Any, where: str, faults: list[Fault]) -> tuple[Column, ...]:
    """Read the columns of a table spec that its JSON schema has passed.

    Args:
        raw: A list of ``{"name", "type", "default"}``.
        where: JSON path of the list.
        faults: Gets all that is wrong.

    Returns:
        The columns that are sound.
    """
    found: dict[str, Column] = {}
    if len(raw) > MOST_COLUMNS:
        faults.append(Fault(where, f"{len(raw)} columns", f"a table has at most {MOST_COLUMNS}"))
        return ()
    for i, given in enumerate(raw):
        place = f"{where}[{i}]"
        name, kind = given["name"], given["type"]
        before = len(faults)
        if not _NAME.fullmatch(name):
            cure = "take lower case letters, digits and underscores, at most 64"
            faults.append(Fault(f"{place}.name", f"{name!r} is no name of a column", cure))
        elif name in found:
            faults.append(Fault(f"{place}.name", f"{name!r} is there twice", "rename one"))
        _check_type(kind, f"{place}.type", faults)
        if len(faults) == before:
            default = given.get("default")
            if isinstance(default, list):
                default = tuple(default)
            column = Column(name, kind, default)
            problem = _misfit(column, default)
            if problem:
                faults.append(Fault(f"{place}.default", problem, f"give a {kind} or leave it out"))
            found[name] = column
    return tuple(found.values())


def _check_type(kind: str, where: str, faults: list[Fault]) -> None:
    if kind in SCALARS or kind == TEXT:
        return
    known = ", ".join([*SCALARS, TEXT, *(f"{element}[n]" for element in ELEMENTS)])
    vector = _VECTOR.fullmatch(kind)
    if vector is None or vector[1] not in ELEMENTS:
        faults.append(Fault(where, f"{kind!r} is no type", f"take one of {known}"))
    elif int(vector[2]) > LONGEST_VECTOR:
        cure = f"a vector has at most {LONGEST_VECTOR} elements"
        faults.append(Fault(where, f"{vector[2]} elements", cure))


def _misfit(column: Column, value: Any) -> str:
    """What keeps a value from being one of the column, in words; empty if nothing does."""
    if value is None:
        return ""
    if column.is_text:
        return "" if isinstance(value, str) else f"{value!r} is no string"
    if column.length is not None:
        if not isinstance(value, tuple) or len(value) != column.length:
            return f"{value!r} is no list of {column.length} numbers"
        return next((why for each in value if (why := _no_number(column.type, each))), "")
    if column.type == "bool":
        return "" if isinstance(value, bool) else f"{value!r} is neither true nor false"
    return _no_number(column.type, value)


def _no_number(kind: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{value!r} is no number"
    if not kind.startswith("int"):
        return "" if value - value == 0.0 else f"{value!r} is not finite"
    limits = np.iinfo(kind.partition("[")[0])
    if isinstance(value, float) or not limits.min <= value <= limits.max:
        return f"{value!r} is no {kind}"
    return ""
