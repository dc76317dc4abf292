"""One release of a table: rows to partitions, partitions to SSTs, SSTs to the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from xxhash import xxh3_64_hexdigest

from feature_dist import sst
from feature_dist.manifest import FORMAT, File, Probe, TableManifest
from feature_dist.spec import REPLICATED, TableSpec
from feature_dist.store import FileStore, sha256_of
from udfs.errors import TableInvalid
from udfs.sharding import shard_of

_PROBES: Final = 8
"""Keys of a file that are looked up after it was taken in."""


def publish(
    spec: TableSpec,
    rows: Iterable[tuple[bytes, bytes]],
    store: FileStore,
    work_dir: Path,
    release: int,
    now_ms: int,
    *,
    before: TableManifest | None = None,
    told: Callable[[int], None] = lambda _rows: None,
) -> TableManifest:
    """Write the files of a release and store them.

    Args:
        spec: Of the table.
        rows: Keys and values in any order.
        store: Where files go; those that it has already are not written again.
        work_dir: Takes the files while they are written; empty.
        release: Above all earlier ones.
        now_ms: When this happens.
        before: The release before: files of partitions whose rows are the same are used again.
        told: Progress, called with the rows read so far.

    Returns:
        The manifest; nothing was announced.

    Raises:
        TableInvalid: No rows, or a key is there twice.
        TableUnavailable: Something cannot be read or written.
    """
    parts: list[list[tuple[bytes, bytes]]] = [[] for _ in range(spec.partitions)]
    count = 0
    whole = spec.distribution == REPLICATED
    for key, value in rows:
        count += 1
        parts[0 if whole else shard_of(key.decode(), spec.partitions)].append((key, value))
        if not count % 10_000:
            told(count)
    told(count)
    if not count:
        raise TableInvalid(f"table {spec.table!r}: the source has no rows; nothing is published")
    known = {(file.partition, file.content): file for file in before.files} if before else {}
    files = []
    for partition, part in enumerate(parts):
        if part:
            content = _ordered(spec, part)
            file = known.get((partition, content))
            if file is None:
                file = _file(partition, part, content, store, work_dir)
            files.append(file)
            part.clear()
    return TableManifest(
        format=FORMAT,
        table=spec.table,
        release=release,
        created_ms=now_ms,
        distribution=spec.distribution,
        partitions=spec.partitions,
        rows=count,
        columns=spec.columns,
        files=tuple(files),
    )


def _ordered(spec: TableSpec, part: list[tuple[bytes, bytes]]) -> str:
    """Sort the rows of a partition and give their digest."""
    part.sort()
    digest = hashlib.sha256()
    before = None
    for key, value in part:
        if key == before:
            raise TableInvalid(
                f"table {spec.table!r}: key {key.decode()!r} is there twice; "
                "aggregate or clean the source"
            )
        before = key
        digest.update(b"%d %d " % (len(key), len(value)))
        digest.update(key)
        digest.update(value)
    return digest.hexdigest()


def _file(
    partition: int,
    part: list[tuple[bytes, bytes]],
    content: str,
    store: FileStore,
    work_dir: Path,
) -> File:
    path = work_dir / f"{partition}.sst"
    sst.write(path, part)
    sha256 = sha256_of(path)
    size = path.stat().st_size
    store.put(path, sha256)
    path.unlink()
    step = max(1, len(part) // _PROBES)
    probed = [*part[::step][:_PROBES], part[-1]]
    return File(
        partition=partition,
        rows=len(part),
        bytes=size,
        sha256=sha256,
        content=content,
        smallest=part[0][0].hex(),
        largest=part[-1][0].hex(),
        probes=tuple(Probe(key.hex(), xxh3_64_hexdigest(value)) for key, value in probed),
    )
