"""A table and a model, published and taken in as on a worker, in one process."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.offer import SPEC, USED, elsewhere, write_model, write_users
from feature_dist.pointer import pointer_to
from feature_dist.publish.release import publish
from feature_dist.publish.rows import read_rows
from feature_dist.spec import read_spec
from feature_dist.sst import take_in
from feature_dist.store import DirectoryStore
from feature_dist.subscriber.table import Table, fetch
from udfs.decisions.program import Program
from udfs.decisions.resources import Resources
from udfs.scoring import artifact
from udfs.scoring.model import Model, load
from udfs.scoring.pointer import Artifact, ModelPointer
from udfs.scoring.publish import publish_model
from udfs.scoring.quiet import silenced

NOW_MS: Final = 1_760_000_000_000

_NOT_THERE: Final = "0" * 64  # pointers are completed here: nobody follows them


class World(msgspec.Struct):
    """What the offers read."""

    table: Table
    model: Model
    pointers: dict[str, list[Any]]

    def program(self, flows: list[dict[str, Any]]) -> Program:
        """Compile flows, with everything at hand."""
        parts = {**self.pointers, "aggregates": USED, "flows": flows}
        found = Program.compile(1, parts, {"decisions"})
        found.resources = Resources({"user": self.table}, {"ctr": self.model})
        return found


@contextlib.contextmanager
def world(say: Callable[[str], None]) -> Iterator[World]:
    """Publish a table and a model, take both in as a worker does, and close them at the end."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as made:
        folder = Path(made)
        store = DirectoryStore((folder / "objects").as_uri())
        say("table")
        table = _table(folder, store)
        say("model")
        manifest = elsewhere(_publish_model, folder, store)
        artifact.fetch(manifest, store, folder / "model")
        with silenced():
            model = load(folder / "model", manifest)
        pointer = ModelPointer(manifest.model, 1, Artifact("file:///made", _NOT_THERE, 1))
        columns = pointer_to(table.manifest, "file:///made", _NOT_THERE, 1)
        columns = columns.completed(msgspec.json.encode(table.manifest))
        try:
            yield World(
                table, model,
                {"features": [msgspec.to_builtins(columns)],
                 "models": [pointer.resolved(manifest).plain()]},
            )  # fmt: skip
        finally:
            table.close()
            model.close()


def _table(folder: Path, store: DirectoryStore) -> Table:
    spec = read_spec(SPEC)
    source = folder / "users.parquet"
    write_users(source)
    work = folder / "work"
    work.mkdir()
    manifest = publish(spec, read_rows(spec, source, NOW_MS), store, work, 1, NOW_MS)
    partitions = frozenset(range(spec.partitions))
    take_in(folder / "db", fetch(manifest, partitions, store, folder / "files"))
    return Table(manifest, partitions, folder / "db")


def _publish_model(folder: Path, store: DirectoryStore) -> artifact.ModelManifest:
    write_model(folder / "source")
    return publish_model(folder / "source", store, 1, NOW_MS, folder / "making")
