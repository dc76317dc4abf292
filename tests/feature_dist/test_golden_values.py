"""Bytes that earlier releases wrote are read: values of tables, manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from feature_dist.manifest import decode_manifest, encode_manifest
from feature_dist.schema import Column, Schema
from feature_dist.values import NEVER, Reader, arrow_type, encode

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

SCHEMA = Schema([
    Column("flag", "bool"), Column("small", "int8"), Column("age", "int32"), Column("id", "int64"),
    Column("spent", "float32"), Column("exact", "float64"), Column("city", "string"),
    Column("taste", "float16[2]"), Column("codes", "int8[3]"), Column("note", "string"),
])  # fmt: skip
ROWS = [
    {"flag": True, "small": -3, "age": 41, "id": 2**40, "spent": 1.5, "exact": 0.1,
     "city": "哈尔滨", "taste": (0.5, -2.0), "codes": (1, 2, 3), "note": "x"},
    dict.fromkeys(SCHEMA.names),
]  # fmt: skip


def test_values_of_version_1() -> None:
    """Read column by column, and written to the byte."""
    blobs = [bytes.fromhex(line) for line in (GOLDEN / "values_v1.hex").read_text().splitlines()]
    reader = Reader(SCHEMA, [SCHEMA])
    assert [reader.row(blob) for blob in blobs] == ROWS
    assert reader.times(blobs[0]) == (1_700_000_000_000, NEVER)
    arrays = []
    for column in SCHEMA.columns:
        given = [row[column.name] for row in ROWS]
        if column.type.startswith("float16"):
            given = [None if each is None else [np.float16(v) for v in each] for each in given]
        arrays.append(pa.array(given, type=arrow_type(column)))
    batch = pa.RecordBatch.from_arrays(arrays, names=list(SCHEMA.names))
    times = np.array([1_700_000_000_000, 5])
    assert encode(SCHEMA, batch, times, np.array([NEVER, 9])) == blobs


def test_a_manifest_of_format_1() -> None:
    """Read, and written to the byte."""
    blob = (GOLDEN / "table_manifest_v1.json").read_bytes()
    manifest = decode_manifest(blob)
    assert (manifest.table, manifest.release, manifest.files[0].rows) == ("user", 3, 2)
    assert encode_manifest(manifest) == blob
