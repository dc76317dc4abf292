"""What a published table consists of: its layout, and one file per partition with its proof."""

from __future__ import annotations

from typing import Final

import msgspec

from feature_dist.schema import Column, Schema
from feature_dist.spec import BY_USER
from udfs.errors import TableInvalid
from udfs.sharding import shard_of

FORMAT: Final = 1


class Probe(msgspec.Struct, frozen=True, array_like=True):
    """A key that a file holds, and what must be found under it.

    Args:
        key: In hex.
        digest: XXH3-64 of the value, in hex.
    """

    key: str
    digest: str


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One SST.

    Args:
        partition: Which part of the table.
        rows: How many.
        bytes: Its length.
        sha256: Of its bytes; its name.
        content: SHA-256 of its rows; RocksDB writes time and chance into a file, so that equal
            rows do not make equal bytes.
        smallest: First key, in hex.
        largest: Last key, in hex.
        probes: Looked up after the file was taken in.
    """

    partition: int
    rows: int
    bytes: int
    sha256: str
    content: str
    smallest: str
    largest: str
    probes: tuple[Probe, ...]


class TableManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One release of one table.

    Args:
        format: Of this manifest.
        table: Name.
        release: Rises with every release of the table.
        created_ms: When it was published.
        distribution: `feature_dist.spec.BY_USER`, or everything everywhere.
        partitions: Parts of the table; those without rows have no file.
        rows: In all files.
        columns: Layout of the values.
        files: In order of partition.
    """

    format: int
    table: str
    release: int
    created_ms: int
    distribution: str
    partitions: int
    rows: int
    columns: tuple[Column, ...]
    files: tuple[File, ...]

    def schema(self) -> Schema:
        """Give the layout of the values."""
        return Schema(self.columns)

    def partition_of(self, key: str) -> frozenset[int]:
        """Give the one partition in which a key lies."""
        return frozenset({shard_of(key, self.partitions) if self.distribution == BY_USER else 0})

    def wanted(self, shards: range, of: int) -> frozenset[int]:
        """Give the partitions in which the keys of some shards lie.

        Args:
            shards: A contiguous range.
            of: How many shards there are, a power of two.
        """
        if self.distribution != BY_USER:
            return frozenset(range(self.partitions))
        if not shards:
            return frozenset()
        first = shards.start * self.partitions // of
        last = -(-shards.stop * self.partitions // of)
        return frozenset(range(first, last))


def encode_manifest(manifest: TableManifest) -> bytes:
    """Write a manifest, the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)


def decode_manifest(blob: bytes) -> TableManifest:
    """Read a manifest.

    Raises:
        TableInvalid: Not one, or of a later format.
    """
    try:
        manifest = msgspec.json.decode(blob, type=TableManifest)
    except msgspec.DecodeError as error:
        raise TableInvalid(f"{len(blob)} bytes are no manifest of a table: {error}") from error
    if manifest.format != FORMAT:
        raise TableInvalid(
            f"manifest of {manifest.table!r} has format {manifest.format}, this code reads "
            f"{FORMAT}: upgrade, or publish with the release that runs here"
        )
    return manifest
