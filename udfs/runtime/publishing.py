"""Publishes tables and models: files into the object store, then a pointer into the manifest.

The pointer goes last and by compare-and-set, so that a publisher that is killed leaves at most
files that nobody points to, and two publishers do not overwrite each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from configs import objects
from configs.cli import Compile, examine
from configs.compare_and_set import Updated, update
from configs.manifest import Ref
from configs.pointers import pointer_of, with_pointer
from configs.publish import Publisher
from configs.watch import MANIFEST
from feature_dist.manifest import TableManifest, decode_manifest, encode_manifest
from feature_dist.pointer import Blob, TablePointer
from feature_dist.pointer import read_pointers as read_tables
from feature_dist.publish.release import publish
from feature_dist.publish.rows import read_rows
from feature_dist.spec import TableSpec
from feature_dist.store import DirectoryStore
from udfs.errors import ConfigInvalid, ConfigUnavailable, TableInvalid
from udfs.scoring.artifact import ModelManifest
from udfs.scoring.artifact import encode_manifest as encode_model
from udfs.scoring.pointer import Artifact, ModelPointer
from udfs.scoring.pointer import read_pointers as read_models
from udfs.scoring.publish import publish_model

Told = Callable[[int], None]


class Target(msgspec.Struct, frozen=True):
    """Where things are published.

    Args:
        publisher: Of the config.
        root: URI of the object store.
        compile_: Gives the faults of a manifest; None: anything goes.
        comment: Kept with the release of the config.
    """

    publisher: Publisher
    root: str
    compile_: Compile | None
    comment: str = ""


def publish_table(
    target: Target, spec: TableSpec, source: Path, work_dir: Path, told: Told = lambda _rows: None
) -> tuple[TableManifest, Updated]:
    """Publish a release of a table and point to it.

    Args:
        target: Where.
        spec: Of the table.
        source: Parquet.
        work_dir: Takes files while they are written.
        told: Progress, in rows.

    Raises:
        MillraceError: Nothing was announced.
    """
    store = DirectoryStore(target.root)
    blobs = objects.ObjectStore(target.root)
    now_ms = time.time_ns() // 1_000_000
    before = _table_before(target, spec.table)
    made = publish(spec, read_rows(spec, source, now_ms), store, work_dir, 1, now_ms,
                   before=before, told=told)  # fmt: skip

    def change(text: str | None) -> str:
        nonlocal made
        found = pointer_of(text, "features", "table", spec.table, objects.get)
        release = 1 + (0 if found is None else read_tables([found])[0].release)
        made = msgspec.structs.replace(made, release=release)
        ref = _kept(blobs, encode_manifest(made))
        pointer = TablePointer(spec.table, release, Blob(ref.uri, ref.sha256, ref.bytes))
        return _checked(target, text, "features", "table", msgspec.to_builtins(pointer))

    done = update(target.publisher, MANIFEST, change, target.comment)
    return made, done


def publish_version(
    target: Target, source: Path, work_dir: Path, told: Callable[[str], None] = lambda _line: None
) -> tuple[ModelManifest, Updated]:
    """Publish a version of a model and point to it.

    Args:
        target: Where.
        source: Directory with ``model.keras``, ``features.json`` and ``golden.jsonl``.
        work_dir: Takes files while they are written.
        told: Progress, in words.

    Raises:
        MillraceError: Nothing was announced.
    """
    store = DirectoryStore(target.root)
    blobs = objects.ObjectStore(target.root)
    now_ms = time.time_ns() // 1_000_000
    made = publish_model(source, store, 1, now_ms, work_dir, told)

    def change(text: str | None) -> str:
        nonlocal made
        found = pointer_of(text, "models", "model", made.model, objects.get)
        version = 1 + (0 if found is None else read_models([found])[0].version)
        made = msgspec.structs.replace(made, version=version)
        ref = _kept(blobs, encode_model(made))
        pointer = ModelPointer(made.model, version, Artifact(ref.uri, ref.sha256, ref.bytes))
        return _checked(target, text, "models", "model", pointer.plain())

    done = update(target.publisher, MANIFEST, change, target.comment)
    return made, done


def _kept(blobs: objects.ObjectStore, blob: bytes) -> Ref:
    """Write a blob and read it back."""
    ref = blobs.put(blob)
    blobs.get(ref)
    return ref


def _checked(
    target: Target, text: str | None, part: str, key: str, pointer: Mapping[str, Any]
) -> str:
    after = with_pointer(text, part, key, pointer, objects.get)
    if target.compile_ is not None:
        examine(after, target.compile_)
    return after


def _table_before(target: Target, table: str) -> TableManifest | None:
    """The release that is announced, whose files may be used again; None if it cannot be read."""
    current = target.publisher.current(MANIFEST)
    text = None if current is None else current.text
    found = pointer_of(text, "features", "table", table, objects.get)
    if found is None:
        return None
    try:
        blob = read_tables([found])[0].manifest
        return decode_manifest(objects.get(Ref(blob.uri, blob.sha256, blob.bytes)))
    except (ConfigInvalid, ConfigUnavailable, TableInvalid):
        return None  # whatever was there: all files are written anew
