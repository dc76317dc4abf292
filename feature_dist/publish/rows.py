"""Rows of a Parquet source as keys and values, with every fault of the data named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from feature_dist.schema import Schema
from feature_dist.spec import TableSpec
from feature_dist.values import NEVER, arrow_type, encode
from udfs.errors import ConfigInvalid, Fault, TableInvalid, TableUnavailable

_BATCH_ROWS: Final = 20_000


def read_rows(spec: TableSpec, source: Path, now_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """Read a source and encode it.

    Args:
        spec: Of the table.
        source: A Parquet file, or a directory of them.
        now_ms: Event time of rows where the spec names no column for it.

    Returns:
        Keys and values in the order of the source.

    Raises:
        ConfigInvalid: The source lacks a column, or one has a type that does not fit.
        TableInvalid: A key is null or empty, or a value does not fit its column.
        TableUnavailable: The source cannot be read.
    """
    schema = spec.schema()
    try:
        dataset = ds.dataset(source, format="parquet")
        names = _checked(spec, dataset.schema)
        for batch in dataset.to_batches(columns=names, batch_size=_BATCH_ROWS):
            if batch.num_rows:
                yield from _encoded(spec, schema, batch, now_ms)
    except (OSError, pa.ArrowException) as error:
        raise TableUnavailable(f"{source} cannot be read as Parquet: {error}") from error


def _checked(spec: TableSpec, source: pa.Schema) -> list[str]:
    """Columns to read; all that are missing are named at once."""
    wanted: Mapping[str, str] = {
        spec.key: "$.key",
        **({} if spec.event_time is None else {spec.event_time: "$.event_time"}),
        **{spec.sources[c.name]: f"$.columns[{i}]" for i, c in enumerate(spec.columns)},
    }
    faults = [
        Fault(where, f"the source has no column {name!r}", f"it has {', '.join(source.names)}")
        for name, where in wanted.items()
        if name not in source.names
    ]
    if not faults:
        kind = source.field(spec.key).type
        if not (_is_text(kind) or pa.types.is_integer(kind)):
            cure = "take a column of strings or integers"
            faults.append(Fault("$.key", f"column {spec.key!r} is {kind}", cure))
    if faults:
        raise ConfigInvalid(faults)
    return list(wanted)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _encoded(
    spec: TableSpec, schema: Schema, batch: pa.RecordBatch, now_ms: int
) -> Iterator[tuple[bytes, bytes]]:
    keys = batch.column(spec.key).cast(pa.string()).to_pylist()
    arrays = []
    for column in spec.columns:
        name = spec.sources[column.name]
        try:
            array = batch.column(name).cast(arrow_type(column))
        except (pa.ArrowException, ValueError) as error:
            raise TableInvalid(f"column {name!r} does not fit {column.type}: {error}") from error
        if column.length is not None:
            _check_lengths(name, array, column.length, keys)
        arrays.append(array)
        _check_finite(name, array, keys)
    rows = pa.RecordBatch.from_arrays(arrays, names=list(schema.names))
    expires = np.full(batch.num_rows, NEVER, dtype=np.int64)
    values = encode(schema, rows, _times(spec, batch, now_ms), expires)
    for key, value in zip(keys, values, strict=True):
        if not key:
            raise TableInvalid(f"a key in {spec.key!r} is {'null' if key is None else 'empty'}")
        yield key.encode(), value


def _check_lengths(name: str, array: pa.Array, length: int, keys: list[str | None]) -> None:
    lengths = array.value_lengths()
    wrong = pc.indices_nonzero(pc.not_equal(lengths, length).fill_null(False))  # noqa: FBT003 - its name
    if len(wrong):
        at = wrong[0].as_py()
        raise TableInvalid(
            f"column {name!r} has {lengths[at]} elements for key {keys[at]!r}, not {length}"
        )


def _check_finite(name: str, array: pa.Array, keys: list[str | None]) -> None:
    vectors = pa.types.is_list(array.type)
    flat = array.flatten() if vectors else array
    if not pa.types.is_floating(flat.type):
        return
    numbers: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    null = flat.is_null().to_numpy(zero_copy_only=False)
    if vectors and null.any():
        at = _row_of(array, int(np.flatnonzero(null)[0]))
        raise TableInvalid(f"column {name!r} has a null element for key {keys[at]!r}")
    wrong = np.flatnonzero(~np.isfinite(numbers) & ~null)
    if wrong.size:
        first = int(wrong[0])
        at = _row_of(array, first) if vectors else first
        raise TableInvalid(
            f"column {name!r} is {numbers[first]} for key {keys[at]!r}: clean it, or null"
        )


def _row_of(array: pa.Array, element: int) -> int:
    """Row of an element of a list array that was flattened."""
    ends = np.cumsum(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    return int(np.searchsorted(ends, element, side="right"))


def _times(spec: TableSpec, batch: pa.RecordBatch, now_ms: int) -> NDArray[np.int64]:
    if spec.event_time is None:
        return np.full(batch.num_rows, now_ms, dtype=np.int64)
    array = batch.column(spec.event_time)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms", tz=array.type.tz), safe=False)
    if array.null_count:
        raise TableInvalid(f"column {spec.event_time!r} has {array.null_count} nulls")
    times: NDArray[np.int64] = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return times
