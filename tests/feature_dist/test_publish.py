"""A Parquet file becomes a release, and a release becomes look-ups with the same answers."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_dist.manifest import TableManifest, decode_manifest, encode_manifest
from feature_dist.matrix import Matrix
from feature_dist.publish.release import publish
from feature_dist.publish.rows import read_rows
from feature_dist.spec import TableSpec, read_spec
from feature_dist.sst import take_in
from feature_dist.store import DirectoryStore
from feature_dist.subscriber.table import Table, fetch
from udfs.errors import ConfigInvalid, SettingsInvalid, TableInvalid, TableUnavailable
from udfs.sharding import shard_of

NOW_MS = 1_760_000_000_000

SPEC: dict[str, Any] = {
    "table": "user",
    "key": "user_id",
    "partitions": 8,
    "columns": [
        {"name": "age", "type": "int32", "default": 0},
        {"name": "spent", "type": "float32", "source": "total_spent"},
        {"name": "city", "type": "string"},
        {"name": "taste", "type": "float32[2]", "default": [0, 0]},
    ],
}


def people(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows of the source, with nulls."""
    rng = random.Random(seed)
    return [
        {
            "user_id": f"user-{n:04d}",
            "age": rng.choice([None, rng.randrange(100)]),
            "total_spent": rng.choice([None, rng.random()]),
            "city": rng.choice([None, "", "杭州", "Paris"]),
            "taste": rng.choice([None, [rng.random(), rng.random()]]),
        }
        for n in range(count)
    ]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a source."""
    kinds = pa.schema(
        [
            ("user_id", pa.string()), ("age", pa.int64()), ("total_spent", pa.float64()),
            ("city", pa.string()), ("taste", pa.list_(pa.float64())),
        ]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=kinds), path)
    return path


class Release:
    """A published table and where it lies."""

    def __init__(
        self,
        path: Path,
        rows: list[dict[str, Any]],
        before: TableManifest | None = None,
        **spec: Any,
    ) -> None:
        self.path = path
        self.store = DirectoryStore((path / "store").as_uri())
        self.spec: TableSpec = read_spec(SPEC | spec)
        source = parquet(path / "source.parquet", rows)
        work = path / "work"
        work.mkdir(exist_ok=True)
        self.manifest: TableManifest = publish(
            self.spec,
            read_rows(self.spec, source, NOW_MS),
            self.store,
            work,
            1,
            NOW_MS,
            before=before,
        )

    def open(self, partitions: frozenset[int] | None = None) -> Table:
        """Take it in."""
        wanted = frozenset(range(8)) if partitions is None else partitions
        files = fetch(self.manifest, wanted, self.store, self.path / "cache")
        take_in(self.path / "db", files)
        return Table(self.manifest, wanted, self.path / "db")

    def stored(self, number: int = 0) -> Path:
        """One of its files in the store."""
        sha256 = self.manifest.files[number].sha256
        return self.path / "store" / sha256[:2] / sha256


def test_every_row_is_found_again(tmp_path: Path) -> None:
    """By key, as a matrix, and a key that is not there as defaults."""
    rows = people(500)
    release = Release(tmp_path, rows)
    table = release.open()
    keys = [row["user_id"] for row in rows]
    for row, value in zip(rows, table.values(keys), strict=True):
        assert value is not None
        found = table.reader.row(value)
        assert found["age"] == (row["age"] or 0)
        assert found["city"] == row["city"]
        spent = row["total_spent"]
        assert found["spent"] == (None if spent is None else np.float32(spent))
    matrix = Matrix(table.reader, ["taste", "age"])
    out = np.empty((2, 3), dtype=np.float32)
    assert table.matrix(matrix, [keys[7], "nobody"], out) == [True, False]
    assert (
        out[0].tolist() == np.float32([*(rows[7]["taste"] or [0, 0]), rows[7]["age"] or 0]).tolist()
    )
    assert out[1].tolist() == [0, 0, 0]
    table.close()


def test_a_worker_takes_its_partitions_alone(tmp_path: Path) -> None:
    """The keys of its shards are there; another's key is an error, never nothing."""
    release = Release(tmp_path, people(200))
    partitions = release.manifest.wanted(range(4, 8), 16)
    assert partitions == {2, 3}
    table = release.open(partitions)
    for row in people(200):
        key = row["user_id"]
        if 4 <= shard_of(key, 16) < 8:
            assert table.values([key])[0] is not None
        else:
            with pytest.raises(TableInvalid, match="does not hold"):
                table.values([key])
    table.close()
    assert len(list((tmp_path / "cache").rglob("*.sst"))) == 2


@pytest.mark.parametrize(
    ("shards", "of", "wanted"),
    [(range(1), 32, {0}), (range(31, 32), 32, {7}), (range(3, 5), 32, {0, 1}),
     (range(2), 2, set(range(8))), (range(1, 2), 4, {2, 3}), (range(0), 32, set())],
)  # fmt: skip
def test_which_partitions_shards_need(
    tmp_path: Path, shards: range, of: int, wanted: set[int]
) -> None:
    """Both are prefixes of the same hash, whichever is finer."""
    assert Release(tmp_path, people(1)).manifest.wanted(shards, of) == wanted


def test_a_replicated_table_is_one_file(tmp_path: Path) -> None:
    """Every worker holds all of it."""
    rows = people(50)
    spec = {"distribution": "replicated", "partitions": 1}
    release = Release(tmp_path, rows, **spec)
    assert len(release.manifest.files) == 1
    table = release.open(release.manifest.wanted(range(1), 32))
    assert all(value is not None for value in table.values([row["user_id"] for row in rows]))
    table.close()


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    """As JSON, and not in another format."""
    manifest = Release(tmp_path, people(20)).manifest
    blob = encode_manifest(manifest)
    assert decode_manifest(blob) == manifest
    with pytest.raises(TableInvalid, match="has format 2"):
        decode_manifest(blob.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(TableInvalid, match="no manifest"):
        decode_manifest(blob[:-5])


def test_unchanged_partitions_are_used_again(tmp_path: Path) -> None:
    """The same rows in any order, and one that differs: one file is new."""
    rows = people(100)
    one = Release(tmp_path, rows)
    two = Release(tmp_path, rows[::-1], before=one.manifest)
    assert one.manifest.files == two.manifest.files
    rows[0] = rows[0] | {"city": "Lyon"}
    three = Release(tmp_path, rows, before=two.manifest)
    assert len(set(three.manifest.files) - set(one.manifest.files)) == 1


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Take the last byte away."""
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (flip, TableInvalid, "SHA-256"),
        (cut, TableInvalid, "the manifest says"),
        (Path.unlink, TableUnavailable, "No such file"),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, damage: Any, error: type[Exception], said: str
) -> None:
    """And nothing of it stays in the cache."""
    release = Release(tmp_path, people(100))
    damage(release.stored())
    with pytest.raises(error, match=said):
        release.open()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".part"]
    name = release.manifest.files[0].sha256
    assert not list((tmp_path / "cache").rglob(f"{name}*"))


def test_publishing_again_repairs_a_damaged_file(tmp_path: Path) -> None:
    """The store is not trusted to hold what it held."""
    release = Release(tmp_path, people(100))
    stored = release.stored()
    whole = stored.read_bytes()
    flip(stored)
    (tmp_path / "again").write_bytes(whole)
    release.store.put(tmp_path / "again", stored.name)
    assert stored.read_bytes() == whole


def test_a_store_that_is_no_directory(tmp_path: Path) -> None:
    """Is told, in writing and in reading."""
    (tmp_path / "file").write_bytes(b"x")
    store = DirectoryStore((tmp_path / "file").as_uri())
    with pytest.raises(TableUnavailable, match="cannot be written"):
        store.put(tmp_path / "file", "0" * 64)
    with pytest.raises(TableUnavailable, match="Not a directory"):
        store.fetch("0" * 64, 1, tmp_path / "to")


def test_files_of_another_table_are_refused(tmp_path: Path) -> None:
    """Whole, and with the right hash: rows and probes tell."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = Release(tmp_path / "one", people(100))
    two = Release(tmp_path / "two", people(100, seed=2))
    files = fetch(two.manifest, frozenset(range(8)), two.store, tmp_path / "cache")
    take_in(tmp_path / "db", files)
    with pytest.raises(TableInvalid, match="is not what the manifest says"):
        Table(one.manifest, frozenset(range(8)), tmp_path / "db")
    take_in(tmp_path / "db2", files[1:])
    with pytest.raises(TableInvalid, match="the manifest says 100"):
        Table(one.manifest, frozenset(range(8)), tmp_path / "db2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": None}, "is null"),
        ({"user_id": ""}, "is empty"),
        ({"user_id": "user-0001"}, "is there twice"),
        ({"total_spent": float("nan")}, "is nan for key 'user-0002'"),
        ({"age": 2**31}, "does not fit int32"),
        ({"taste": [1.0]}, "has 1 elements for key 'user-0002', not 2"),
        ({"taste": [1.0, math.inf]}, "is inf for key 'user-0002'"),
        ({"taste": [None, 1.0]}, "has a null element for key 'user-0002'"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Nothing is published; the value is named."""
    rows = people(3)
    rows[2] |= change
    with pytest.raises(TableInvalid, match=said):
        Release(tmp_path, rows)


def test_no_rows_are_refused(tmp_path: Path) -> None:
    """An empty source is a mistake, not an empty table."""
    with pytest.raises(TableInvalid, match="no rows"):
        Release(tmp_path, [])


def test_sources_that_are_refused(tmp_path: Path) -> None:
    """All columns that are missing at once; what is no Parquet."""
    spec = read_spec(SPEC | {"key": "id", "event_time": "when"})
    source = parquet(tmp_path / "s.parquet", people(1))
    with pytest.raises(ConfigInvalid) as told:
        list(read_rows(spec, source, NOW_MS))
    assert [fault.where for fault in told.value.faults] == ["$.key", "$.event_time"]
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(TableUnavailable, match="as Parquet"):
        list(read_rows(read_spec(SPEC), tmp_path / "x.parquet", NOW_MS))


def test_faults_of_a_spec() -> None:
    """All at once."""
    raw = {"table": "User", "key": "k", "columns": [{"name": "a"}], "colour": 1}
    with pytest.raises(ConfigInvalid) as told:
        read_spec(raw)
    assert len(told.value.faults) == 3
    with pytest.raises(ConfigInvalid, match="replicated"):
        read_spec(SPEC | {"distribution": "replicated"})


@pytest.mark.parametrize("root", ["s3://bucket", "/srv", "file://host/srv", "file:relative"])
def test_stores_that_are_refused(root: str) -> None:
    """Only directories of this machine so far."""
    with pytest.raises(SettingsInvalid, match="file:///absolute"):
        DirectoryStore(root)
