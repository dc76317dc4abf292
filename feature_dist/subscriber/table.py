"""One release of one table on a worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_hexdigest

from feature_dist.manifest import TableManifest
from feature_dist.matrix import Matrix
from feature_dist.spec import BY_USER
from feature_dist.sst import Database
from feature_dist.store import FileStore
from feature_dist.values import Reader
from udfs.errors import TableInvalid
from udfs.sharding import shard_of


def fetch(
    manifest: TableManifest, partitions: frozenset[int], store: FileStore, cache_dir: Path
) -> list[Path]:
    """Bring the files of some partitions here and verify them.

    Args:
        manifest: Of the release.
        partitions: Which ones.
        store: Where they lie.
        cache_dir: Files that are here already, and verified, are not fetched again.

    Returns:
        The files, in the manifest's order.

    Raises:
        TableUnavailable: One is not there, cannot be read, or does not fit on the disk.
        TableInvalid: One is not what the manifest says.
    """
    found = []
    for file in manifest.files:
        if file.partition in partitions:
            path = cache_dir / file.sha256[:2] / f"{file.sha256}.sst"
            if not path.is_file():
                store.fetch(file.sha256, file.bytes, path)
            found.append(path)
    return found


class Table:
    """A release that was taken in and probed; only read from.

    Args:
        manifest: Of the release.
        partitions: What it holds here.
        directory: Database of the files of these partitions (`feature_dist.sst.take_in`).

    Raises:
        TableInvalid: Rows or probes differ from the manifest.
        TableUnavailable: The directory cannot be read.
    """

    def __init__(
        self, manifest: TableManifest, partitions: frozenset[int], directory: Path
    ) -> None:
        self.manifest = manifest
        self.partitions = partitions
        self.directory = directory
        schema = manifest.schema()
        self.reader = Reader(schema, [schema])
        self._database = Database(directory)
        try:
            self._check()
        except TableInvalid:
            self.close()
            raise

    @property
    def version(self) -> str:
        """Name and release, as decisions tell them."""
        return f"{self.manifest.table}@{self.manifest.release}"

    def _check(self) -> None:
        mine = [file for file in self.manifest.files if file.partition in self.partitions]
        wanted = sum(file.rows for file in mine)
        rows = self._database.rows()
        if rows != wanted:
            raise TableInvalid(f"{self.version} holds {rows} rows, the manifest says {wanted}")
        for file in mine:
            found = self._database.get([bytes.fromhex(probe.key) for probe in file.probes])
            for probe, value in zip(file.probes, found, strict=True):
                if value is None or xxh3_64_hexdigest(value) != probe.digest:
                    raise TableInvalid(
                        f"{self.version}: key {bytes.fromhex(probe.key)!r} of partition "
                        f"{file.partition} is not what the manifest says"
                    )

    @property
    def release(self) -> int:
        """Which one it is."""
        return self.manifest.release

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """Look keys up. HOT.

        Args:
            keys: In UTF-8, any number.

        Returns:
            One value a key, None for a key that the table does not have.

        Raises:
            TableInvalid: A key belongs to a partition that is not here.
            TableUnavailable: A file cannot be read any more.
        """
        found = self._database.get(keys)
        if None in found and self.manifest.distribution == BY_USER:
            # A key that is here is of a partition that is here: only what is missing is in doubt.
            for key, value in zip(keys, found, strict=True):
                if value is None:
                    self._refuse_foreign(key)
        return found

    def _refuse_foreign(self, key: bytes) -> None:
        partition = shard_of(key.decode(), self.manifest.partitions)
        if partition not in self.partitions:
            raise TableInvalid(
                f"{self.version}: key {key.decode()!r} belongs to partition {partition}, "
                "which this worker does not hold"
            )

    def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Look keys up, as `get` does."""
        return self.get([key.encode() for key in keys])

    def matrix(self, matrix: Matrix, keys: Sequence[str], out: NDArray[np.float32]) -> list[bool]:
        """Look keys up and write their features. HOT.

        Args:
            matrix: Of this table's reader.
            keys: One a row.
            out: ``(keys, matrix.width)``; overwritten.

        Returns:
            Whether each key was there; where not, the row is defaults.
        """
        values = self.values(keys)
        matrix.fill(values, out)
        return [value is not None for value in values]

    def close(self) -> None:
        """Give the database back; the directory stays."""
        self._database.close()
