"""Many rows as a matrix of numbers, a model's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feature_dist.schema import Column, Schema
from feature_dist.values import Reader

_ABSENT: Final = -1


class Matrix:
    """Reads rows straight into a model's input.

    Args:
        reader: Of the table.
        names: Columns of fixed width, in the model's order; a vector takes its length.
        missing: By column name, what a null or a missing row is read as where the column has no
            default. Not a number by default.
    """

    def __init__(
        self, reader: Reader, names: Sequence[str], missing: Mapping[str, float] | None = None
    ) -> None:
        self._reader = reader
        self._columns = [reader.schema.by_name[name] for name in names]
        texts = [column.name for column in self._columns if column.is_text]
        if texts:
            raise ValueError(f"{', '.join(texts)}: a string is no number")
        self.width = sum(column.width for column in self._columns)
        self._defaults = np.concatenate(
            [_default(column, (missing or {}).get(column.name)) for column in self._columns]
            or [np.zeros(0, dtype=np.float32)]
        )
        self._plans = {schema.id: _Plan(schema, self._columns) for schema in reader.written}

    def fill(self, values: Sequence[bytes | None], out: NDArray[np.float32]) -> None:
        """Write rows. HOT.

        Args:
            values: One a row, None for a key that the table does not have.
            out: ``(rows, width)``; overwritten.

        Raises:
            TableInvalid: Not values of this table.
        """
        by_schema: dict[int, list[int]] = {}
        for number, value in enumerate(values):
            if value is not None:
                by_schema.setdefault(self._reader.schema_of(value).id, []).append(number)
        if sum(map(len, by_schema.values())) < len(values):
            out[:] = self._defaults
        for schema_id, numbers in by_schema.items():
            given = [value for n in numbers if (value := values[n]) is not None]
            found = self._plans[schema_id].read(given, self._defaults)
            if len(numbers) == len(values):
                out[:] = found
            else:
                out[numbers] = found


class _Plan:
    """Gathers the bytes of all columns of one type at once."""

    def __init__(self, schema: Schema, columns: Sequence[Column]) -> None:
        self._size = schema.head.itemsize
        fields = schema.head.fields
        assert fields is not None  # it is a structure
        nulls = fields["#nulls"][1]
        self._nulls = slice(nulls, nulls + (len(schema.columns) + 7) // 8)
        bits: list[int] = []
        places: dict[str, tuple[list[int], list[int]]] = {}
        self.width = 0
        for column in columns:
            at = schema.position.get(column.name)
            if at is None or schema.columns[at].type != column.type:
                self.width += column.width
                bits += [_ABSENT] * column.width
                continue
            kind = np.dtype(column.dtype()[1])
            sources, targets = places.setdefault(kind.str, ([], []))
            for element in range(column.width):
                sources.append(fields[column.name][1] + element * kind.itemsize)
                targets.append(self.width)
                self.width += 1
            bits += [at] * column.width
        self._groups = [
            (
                np.dtype(kind),
                np.array([range(at, at + np.dtype(kind).itemsize) for at in sources]).ravel(),
                np.array(targets),
            )
            for kind, (sources, targets) in places.items()
        ]
        self._bits = np.array(bits, dtype=np.int64)

    def read(self, values: Sequence[bytes], defaults: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self._size
        joined = b"".join([value[:size] for value in values])
        heads = np.frombuffer(joined, dtype=np.uint8).reshape(len(values), size)
        found = np.empty((len(values), self.width), dtype=np.float32)
        with np.errstate(over="ignore"):  # a double may become infinite
            for kind, sources, targets in self._groups:
                found[:, targets] = np.take(heads, sources, axis=1).view(kind)
        bits = np.unpackbits(heads[:, self._nulls], axis=1, bitorder="little")
        absent = self._bits == _ABSENT
        null = bits[:, np.where(absent, 0, self._bits)].view(bool) | absent
        if null.any():
            np.copyto(found, defaults, where=null)
        return found


def _default(column: Column, missing: float | None) -> NDArray[np.float32]:
    given = column.default if column.default is not None else missing
    if given is None:
        given = float("nan")
    return np.full(column.width, given, dtype=np.float32)
