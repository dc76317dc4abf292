"""Values of feature tables: what goes in comes out, alone, by column and as a matrix."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from feature_dist.matrix import Matrix
from feature_dist.row import Row
from feature_dist.schema import SCALARS, Column, Schema, read_columns
from feature_dist.values import NEVER, Reader, arrow_type, encode
from udfs.errors import Fault, TableInvalid

_INTS = {"int8": 2**7, "int32": 2**31, "int64": 2**63}


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Values that a column can hold, null among them."""
    kind, _, _ = column.type.partition("[")
    if column.is_text:
        one: st.SearchStrategy[Any] = st.text(max_size=8)
    elif kind == "bool":
        one = st.booleans()
    elif kind in _INTS:
        one = st.integers(-_INTS[kind], _INTS[kind] - 1)
    else:
        width = int(kind.removeprefix("float"))
        one = st.floats(width=width, allow_nan=False, allow_infinity=False)
    if column.length is not None:
        one = st.tuples(*[one] * column.length)
    return st.none() | one


def typed(kind: str, default: Any) -> dict[str, Any]:
    """A column with a default."""
    return {"name": "b", "type": kind, "default": default}


TYPES = [*SCALARS, "string", "int8[3]", "float16[2]", "float32[4]"]


@st.composite
def tables(draw: st.DrawFn) -> tuple[Schema, list[dict[str, Any]]]:
    """A schema and rows of it."""
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=12))
    columns = [Column(f"c{i}", kind) for i, kind in enumerate(kinds)]
    row = st.fixed_dictionaries({column.name: values_of(column) for column in columns})
    return Schema(columns), draw(st.lists(row, min_size=1, max_size=6))


def written(schema: Schema, rows: list[dict[str, Any]]) -> list[bytes]:
    """The rows as values; row i was true at time i and expires at 10 * i."""
    arrays = []
    for column in schema.columns:
        given = [row[column.name] for row in rows]
        if column.type.startswith("float16"):
            given = [None if v is None else [np.float16(each) for each in v] for v in given]
        arrays.append(pa.array(given, type=arrow_type(column)))
    batch = pa.RecordBatch.from_arrays(arrays, names=list(schema.names))
    times = np.arange(len(rows))
    return encode(schema, batch, times, times * 10)


@given(tables())
def test_what_goes_in_comes_out(table: tuple[Schema, list[dict[str, Any]]]) -> None:
    """Each column of each row, and its times."""
    schema, rows = table
    reader = Reader(schema, [schema])
    for number, (value, row) in enumerate(zip(written(schema, rows), rows, strict=True)):
        assert reader.row(value) == row
        assert reader.times(value) == (number, 10 * number)


@given(tables(), st.randoms())
def test_a_row_is_its_columns(table: tuple[Schema, list[dict[str, Any]]], random: Any) -> None:
    """Any of them in any order; nulls are told; not before its time and not after it."""
    schema, rows = table
    reader = Reader(schema, [schema])
    names = random.sample(schema.names, random.randint(0, len(schema.names)))
    row = Row(reader, names)
    for number, (value, wanted) in enumerate(zip(written(schema, rows), rows, strict=True)):
        found = row.read(value, 10 * number - 1)
        assert found is not None
        assert found[0] == [wanted[name] for name in names]
        assert list(found[1]) == [i for i, name in enumerate(names) if wanted[name] is None]
        assert row.read(value, 10 * number) is None


@given(tables(), st.randoms())
def test_a_matrix_is_the_rows(table: tuple[Schema, list[dict[str, Any]]], random: Any) -> None:
    """In any order of columns, with keys that are not there."""
    schema, rows = table
    columns = [column for column in schema.columns if not column.is_text]
    random.shuffle(columns)
    values: list[bytes | None] = [*written(schema, rows), None]
    matrix = Matrix(Reader(schema, [schema]), [column.name for column in columns])
    out = np.empty((len(values), matrix.width), dtype=np.float32)
    matrix.fill(values, out)
    for row, found in zip([*rows, {}], out, strict=True):
        wanted: list[float] = []
        for column in columns:
            value = row.get(column.name)
            many = value if isinstance(value, tuple) else (value,) * column.width
            wanted += [math.nan if each is None else each for each in many]
        np.testing.assert_array_equal(found, np.array(wanted, dtype=np.float32))


def test_added_columns_read_as_default_from_old_values() -> None:
    """A value written before a column was there, beside one written after."""
    old = Schema([Column("age", "int32"), Column("city", "string")])
    new = Schema(
        [Column("spent", "float64", 1.5), Column("city", "string"), Column("age", "int32")]
    )
    reader = Reader(new, [new, old])
    [before] = written(old, [{"age": 30, "city": "哈尔滨"}])
    [after] = written(new, [{"age": 31, "city": "", "spent": 2.0}])
    assert reader.row(before) == {"spent": 1.5, "city": "哈尔滨", "age": 30}
    assert reader.row(after) == {"spent": 2.0, "city": "", "age": 31}
    assert Row(reader, ["city", "spent", "age"]).read(before, -1) == (["哈尔滨", 1.5, 30], [1])
    out = np.empty((3, 2), dtype=np.float32)
    Matrix(reader, ["spent", "age"], {"age": -1.0}).fill([before, None, after], out)
    assert out.tolist() == [[1.5, 30.0], [1.5, -1.0], [2.0, 31.0]]


def test_a_column_whose_type_changed_is_read_as_default() -> None:
    """Never as bytes of another type."""
    old, new = Schema([Column("a", "int64")]), Schema([Column("a", "float32", 0.25)])
    reader = Reader(new, [new, old])
    [value] = written(old, [{"a": 7}])
    assert reader.row(value) == {"a": 0.25}
    assert Row(reader, ["a"]).read(value, -1) == ([0.25], [0])
    out = np.empty((1, 1), dtype=np.float32)
    Matrix(reader, ["a"]).fill([value], out)
    assert out.tolist() == [[0.25]]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: b"", "not version 1"),
        (lambda v: b"\x02" + v[1:], "not version 1"),
        (lambda v: v[:1] + b"\0\0\0\0" + v[5:], "schema 00000000"),
        (lambda v: v[:20], "is cut"),
    ],
)
def test_bytes_that_are_no_value_are_refused(damage: Any, said: str) -> None:
    """By every way of reading."""
    schema = Schema([Column("a", "int64"), Column("b", "string")])
    reader = Reader(schema, [schema])
    broken = damage(written(schema, [{"a": 1, "b": "x"}])[0])
    with pytest.raises(TableInvalid, match=said):
        reader.row(broken)
    with pytest.raises(TableInvalid, match=said):
        Row(reader, ["b"]).read(broken, 0)
    with pytest.raises(TableInvalid, match=said):
        Matrix(reader, ["a"]).fill([broken], np.empty((1, 1), dtype=np.float32))


def test_a_golden_value() -> None:
    """Version 1, byte for byte: what is stored must stay readable."""
    schema = Schema([Column("age", "int32"), Column("name", "string"), Column("v", "float16[2]")])
    [value] = written(schema, [{"age": 258, "name": "né", "v": (1.0, -2.0)}])
    assert value.hex() == "".join(
        ["01", "8295f139", "00" * 16, "00", "02010000", "003c00c0", "03000000", "6ec3a9"]
    )
    assert NEVER == 2**63 - 1


@pytest.mark.parametrize(
    ("given", "where", "problem"),
    [
        ({"name": "A", "type": "bool"}, "name", "'A' is no name of a column"),
        ({"name": "a", "type": "bool"}, "name", "'a' is there twice"),
        ({"name": "b", "type": "text"}, "type", "'text' is no type"),
        ({"name": "b", "type": "float64[2]"}, "type", "'float64[2]' is no type"),
        ({"name": "b", "type": "int8[9999]"}, "type", "9999 elements"),
        (typed("int8", 128), "default", "128 is no int8"),
        (typed("int32", default=True), "default", "True is no number"),
        (typed("float32", math.nan), "default", "nan is not finite"),
        (typed("bool", 0), "default", "0 is neither true nor false"),
        (typed("string", 0), "default", "0 is no string"),
        (typed("int8[2]", [1]), "default", "(1,) is no list of 2 numbers"),
        (typed("int8[2]", [1, 300]), "default", "300 is no int8[2]"),
    ],
)
def test_faults_of_columns(given: dict[str, Any], where: str, problem: str) -> None:
    """Each names its place, the value and a cure."""
    faults: list[Fault] = []
    read_columns([{"name": "a", "type": "int8", "default": -1}, given], "columns", faults)
    assert [(f.where, f.problem) for f in faults] == [(f"columns[1].{where}", problem)]
    assert faults[0].cure
