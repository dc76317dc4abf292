"""One row of a feature table as bytes.

Version 1, little-endian (docs/feature-format.md)::

    version 1 | schema id 4 | event time 8 | expires 8 | null bitmap | fixed columns, packed |
    end of each string, 4 bytes each | the strings

A null fixed column is zeros, a null string is empty; the bitmap tells. Writing goes column by
column and reading a batch of rows is one copy into a NumPy structure, so that no Python code
runs per value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_dist.schema import Column, Schema
from udfs.errors import TableInvalid

VERSION: Final = 1

NEVER: Final = 2**63 - 1
"""Expiry of a row that does not expire, ms."""

END: Final = np.dtype("<u4")
"""Type of the end of a string, counted from the first string's start."""


def encode(
    schema: Schema,
    batch: pa.RecordBatch,
    event_times: NDArray[np.int64],
    expires: NDArray[np.int64],
) -> list[bytes]:
    """Write rows.

    Args:
        schema: Of the table.
        batch: Has the schema's columns, with its Arrow types (`arrow_type`).
        event_times: ``(rows,)`` ms.
        expires: ``(rows,)`` ms, `NEVER` for rows that do not expire.

    Returns:
        One value a row.
    """
    rows = batch.num_rows
    heads = np.zeros(rows, dtype=schema.head)
    heads["#version"] = VERSION
    heads["#schema"] = schema.id
    heads["#event_time"] = event_times
    heads["#expires"] = expires
    nulls = np.zeros((rows, heads["#nulls"].shape[1] * 8), dtype=bool)
    texts: list[list[bytes]] = []
    for i, column in enumerate(schema.columns):
        array = batch.column(column.name)
        nulls[:, i] = array.is_null().to_numpy(zero_copy_only=False)
        if column.is_text:
            texts.append([b"" if text is None else text.encode() for text in array.to_pylist()])
        else:
            heads[column.name] = _numbers(column, array)
    heads["#nulls"] = np.packbits(nulls, axis=1, bitorder="little")
    size = schema.head.itemsize
    packed = heads.tobytes()
    fronts = [packed[at : at + size] for at in range(0, rows * size, size)]
    if not texts:
        return fronts
    lengths = np.array([[len(text) for text in column] for column in texts], dtype=np.int64)
    ends = np.cumsum(lengths, axis=0).T.astype(END)
    return [
        front + end.tobytes() + b"".join(parts)
        for front, end, parts in zip(fronts, ends, zip(*texts, strict=True), strict=True)
    ]


def _numbers(column: Column, array: pa.Array) -> NDArray[Any]:
    if column.length is None:
        nothing = pa.scalar(0).cast(array.type)
        numbers: NDArray[Any] = array.fill_null(nothing).to_numpy(zero_copy_only=False)
        return numbers
    found = np.zeros((len(array), column.length), dtype=column.dtype()[1])
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    flat = array.drop_null().flatten().to_numpy(zero_copy_only=False)
    found[valid] = flat.reshape(-1, column.length)
    return found


def arrow_type(column: Column) -> pa.DataType:
    """Give the Arrow type in which `encode` wants a column."""
    if column.is_text:
        return pa.string()
    names = {"bool": pa.bool_(), "int8": pa.int8(), "int32": pa.int32(), "int64": pa.int64(),
             "float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}  # fmt: skip
    if column.length is not None:
        return pa.list_(names[column.type.partition("[")[0]])  # of that length, or null
    return names[column.type]


class Reader:
    """Reads values of one schema, and of older ones, as rows of another.

    Args:
        schema: What is asked for: columns that a value does not have are read as default.
        written: Schemas in which values may have been written, this one among them.
    """

    def __init__(self, schema: Schema, written: Sequence[Schema]) -> None:
        self.schema = schema
        self.written = tuple(written)
        self.by_id: Mapping[int, Schema] = {each.id: each for each in written}

    def row(self, value: bytes) -> dict[str, Any]:
        """Read all columns of one row; nulls are read as default.

        Raises:
            TableInvalid: Not a value of this table.
        """
        return {name: self.column(value, name) for name in self.schema.names}

    def column(self, value: bytes, name: str) -> Any:
        """Read one column without decoding the others.

        Raises:
            TableInvalid: Not a value of this table.
            KeyError: The schema has no such column.
        """
        column = self.schema.by_name[name]
        written = self.schema_of(value)
        at = written.position.get(name)
        if at is None or written.columns[at].type != column.type:
            return column.default
        head = np.frombuffer(value, dtype=written.head, count=1)[0]
        if head["#nulls"][at // 8] >> at % 8 & 1:
            return column.default
        if column.is_text:
            return self._text(value, written, name)
        found = head[name]
        return tuple(found.tolist()) if column.length is not None else found.item()

    def _text(self, value: bytes, written: Schema, name: str) -> str:
        number = next(i for i, column in enumerate(written.texts) if column.name == name)
        start = written.head.itemsize
        ends = np.frombuffer(value, dtype=END, count=len(written.texts), offset=start)
        base = start + ends.nbytes
        begin = int(ends[number - 1]) if number else 0
        try:
            return value[base + begin : base + int(ends[number])].decode()
        except UnicodeDecodeError as error:
            raise TableInvalid(f"column {name!r} of a value is no UTF-8: {error}") from error

    def times(self, value: bytes) -> tuple[int, int]:
        """Give (event time, expiry) of a row, ms.

        Raises:
            TableInvalid: Not a value of this table.
        """
        written = self.schema_of(value)
        head = np.frombuffer(value, dtype=written.head, count=1)[0]
        return int(head["#event_time"]), int(head["#expires"])

    def schema_of(self, value: bytes) -> Schema:
        """Give the schema in which a value was written.

        Raises:
            TableInvalid: Not a value of this table.
        """
        if len(value) < 5 or value[0] != VERSION:  # noqa: PLR2004 - version and schema id
            known = f"version {VERSION}"
            raise TableInvalid(
                f"a value of {len(value)} bytes, beginning {value[:5]!r}: not {known}"
            )
        written = self.by_id.get(int.from_bytes(value[1:5], "little"))
        if written is None:
            raise TableInvalid(
                f"a value of schema {int.from_bytes(value[1:5], 'little'):08x}, the manifest has "
                f"{', '.join(f'{each:08x}' for each in self.by_id)}"
            )
        if len(value) < written.head.itemsize + len(written.texts) * END.itemsize:
            raise TableInvalid(f"a value of {len(value)} bytes is cut: {written!r}")
        return written
