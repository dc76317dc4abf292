"""Fetches, verifies and takes in tables and models, in a process of its own: ``python -m``.

Reads one JSON line from standard input (`LoadTask`) and writes one (`LoadResult`). It ends with
its standard input: whoever waits for it may be killed. It never imports pyflink.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from configs import objects
from configs.manifest import Ref
from configs.watch_process import stderr_log
from feature_dist.manifest import decode_manifest
from feature_dist.pointer import Blob, TablePointer
from feature_dist.sst import take_in
from feature_dist.store import DirectoryStore
from feature_dist.subscriber.table import Table, fetch
from udfs.errors import ConfigInvalid, Fault, MillraceError
from udfs.runtime.priority import give_way
from udfs.runtime.shelf import MANIFEST, NEW, Owned, Shelf
from udfs.runtime.shipped import refuse_stale_code
from udfs.scoring import artifact
from udfs.scoring.model import load
from udfs.scoring.pointer import Artifact, ModelPointer

_SPARE_BYTES: Final = 16 << 20
"""Left free for all else that the machine does."""


class LoadTask(msgspec.Struct, frozen=True):
    """What is to be there, and what may stay; all else is removed.

    Args:
        folder: Of the subtask.
        owned: Its shards.
        tables: Releases wanted.
        models: Artifacts wanted.
        keep_tables: Releases in use.
        keep_models: Artifacts in use.
        engine: For which models are tried.
        shipped: Digest of the driver's code.
    """

    folder: str
    owned: Owned
    tables: tuple[TablePointer, ...]
    models: tuple[ModelPointer, ...]
    keep_tables: tuple[TablePointer, ...]
    keep_models: tuple[ModelPointer, ...]
    engine: str
    shipped: str


class LoadResult(msgspec.Struct, frozen=True):
    """What came of it.

    Args:
        faults: Why not; nothing of the task may be used then.
        took_ms: For the log.
    """

    faults: tuple[Fault, ...] = ()
    took_ms: int = 0


def perform(task: LoadTask) -> list[Fault]:
    """Do a task; give what went wrong, everything of it."""
    shelf = Shelf(Path(task.folder), task.owned)
    try:
        shelf.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "set local_dir to a directory that workers may write"
        return [Fault("local_dir", f"{shelf.folder} cannot be made: {error}", cure)]
    keep = {shelf.table(pointer) for pointer in (*task.tables, *task.keep_tables)}
    keep |= {shelf.model(pointer) for pointer in (*task.models, *task.keep_models)}
    shelf.sweep(keep)
    faults: list[Fault] = []
    for table in task.tables:
        _try(f"features.{table.table}", functools.partial(_table, shelf, table), faults)
    for model in task.models:
        work = functools.partial(_model, shelf, model, task.engine)
        _try(f"models.{model.model}", work, faults)
    if faults:
        shelf.sweep(keep - {shelf.table(each) for each in task.tables}
                    - {shelf.model(each) for each in task.models})  # fmt: skip
    return faults


def _try(where: str, work: Callable[[], None], faults: list[Fault]) -> None:
    try:
        work()
    except ConfigInvalid as error:
        faults += [Fault(f"{where} {each.where}", each.problem, each.cure) for each in error.faults]
    except (MillraceError, OSError) as error:
        faults.append(Fault(where, str(error), "the version before goes on"))


def _table(shelf: Shelf, pointer: TablePointer) -> None:
    final = shelf.table(pointer)
    blob = objects.get(_ref(pointer.manifest))
    manifest = decode_manifest(blob)
    partitions = manifest.wanted(shelf.owned.shards, shelf.owned.of)
    if not final.is_dir():
        store = DirectoryStore(_root(pointer.manifest))
        missing = [
            file.bytes
            for file in manifest.files
            if file.partition in partitions
            and not (shelf.files / file.sha256[:2] / f"{file.sha256}.sst").is_file()
        ]
        _refuse_full_disk(shelf.folder, sum(missing))
        beside = _beside(final)
        take_in(beside / "db", fetch(manifest, partitions, store, shelf.files))
        (beside / MANIFEST).write_bytes(blob)
        Table(manifest, partitions, beside / "db").close()
        beside.rename(final)
    else:
        Table(manifest, partitions, final / "db").close()


def _model(shelf: Shelf, pointer: ModelPointer, engine: str) -> None:
    final = shelf.model(pointer)
    blob = objects.get(_ref(pointer.artifact))
    manifest = artifact.decode_manifest(blob)
    if not final.is_dir():
        _refuse_full_disk(shelf.folder, sum(file.bytes for file in manifest.files))
        beside = _beside(final)
        artifact.fetch(manifest, DirectoryStore(_root(pointer.artifact)), beside)
        (beside / MANIFEST).write_bytes(blob)
        load(beside, manifest, engine).close()
        beside.rename(final)
    else:
        load(final, manifest, engine).close()


def _beside(final: Path) -> Path:
    beside = final.with_name(final.name + NEW)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    return beside


def _refuse_full_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed and needed + _SPARE_BYTES > free:
        problem = f"{folder} has {free} bytes free, {needed + _SPARE_BYTES} are needed"
        raise ConfigInvalid([Fault("disk", problem, "free space, or set local_dir")])


def _ref(blob: Blob | Artifact) -> Ref:
    return Ref(blob.uri, blob.sha256, blob.bytes)


def _root(blob: Blob | Artifact) -> str:
    """The object store in which a blob lies."""
    return blob.uri.removesuffix(f"/{blob.sha256[:2]}/{blob.sha256}")


def main() -> None:
    """Do one task."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=LoadTask)
    refuse_stale_code(task.shipped)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start_s = time.monotonic()
    faults = perform(task)
    took_ms = round((time.monotonic() - start_s) * 1_000)
    for fault in faults:
        stderr_log().error("not loaded", fault=str(fault))
    sys.stdout.buffer.write(msgspec.json.encode(LoadResult(tuple(faults), took_ms)) + b"\n")
    sys.stdout.buffer.flush()
    # The interpreter's own end would wait for what TensorFlow has started.
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    give_way()
    try:
        main()
    except MillraceError as error:
        sys.exit(f"millrace: loading ends: {error}")
