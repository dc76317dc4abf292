"""Tables and models that a worker has open, and the programs that share them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from configs.manifest import Resolved
from feature_dist.manifest import decode_manifest
from feature_dist.pointer import TablePointer
from feature_dist.pointer import read_pointers as read_tables
from feature_dist.subscriber.table import Table
from udfs.decisions.resources import Resources
from udfs.runtime.load_process import LoadTask
from udfs.runtime.shelf import MANIFEST, Shelf
from udfs.scoring import artifact
from udfs.scoring.model import Model, load
from udfs.scoring.pointer import ModelPointer
from udfs.scoring.pointer import read_pointers as read_models


class Needs(msgspec.Struct, frozen=True):
    """What a manifest asks for."""

    tables: tuple[TablePointer, ...] = ()
    models: tuple[ModelPointer, ...] = ()

    @classmethod
    def of(cls, resolved: Resolved) -> Needs:
        """Read a manifest whose pointers are right."""
        return cls(tuple(read_tables(resolved.features)), tuple(read_models(resolved.models)))


NOTHING: Final = Needs()


class Warehouse:
    """Opens what the loading process has made, closes what nothing needs any more.

    Args:
        shelf: Where it lies.
        engine: For models.
        shipped: Digest of the driver's code.
    """

    def __init__(self, shelf: Shelf, engine: str, shipped: str) -> None:
        self._shelf = shelf
        self._engine = engine
        self._shipped = shipped
        self._tables: dict[str, Table] = {}
        self._models: dict[str, Model] = {}

    def left_over(self, used: Sequence[Needs]) -> bool:
        """Tell whether there is anything on the shelf that some manifests do not need."""
        keep = {self._shelf.table(each) for needs in used for each in needs.tables}
        keep |= {self._shelf.model(each) for needs in used for each in needs.models}
        return bool(self._shelf.left_over(keep))

    def missing(self, needs: Needs) -> Needs:
        """Give what is not open."""
        return Needs(
            tuple(each for each in needs.tables if each.manifest.sha256 not in self._tables),
            tuple(each for each in needs.models if each.artifact.sha256 not in self._models),
        )

    def task(self, wanted: Needs, used: Iterable[Needs]) -> LoadTask:
        """Give what the loading process has to do.

        Args:
            wanted: What is to be opened next.
            used: What must stay.
        """
        tables = {each.manifest.sha256: each for needs in used for each in needs.tables}
        models = {each.artifact.sha256: each for needs in used for each in needs.models}
        return LoadTask(
            folder=str(self._shelf.folder),
            owned=self._shelf.owned,
            tables=wanted.tables,
            models=wanted.models,
            keep_tables=tuple(tables.values()),
            keep_models=tuple(models.values()),
            engine=self._engine,
            shipped=self._shipped,
        )

    def open(self, needs: Needs) -> Resources:
        """Open what is on the shelf; what is open already is shared.

        Raises:
            MillraceError: It is not there, or not what it should be.
        """
        tables, models = {}, {}
        for table in needs.tables:
            key = table.manifest.sha256
            if key not in self._tables:
                self._tables[key] = self._table(table)
            tables[table.table] = self._tables[key]
        for model in needs.models:
            key = model.artifact.sha256
            if key not in self._models:
                self._models[key] = self._model(model)
            models[model.model] = self._models[key]
        return Resources(tables, models)

    def keep(self, used: Iterable[Needs]) -> bool:
        """Close what none of some manifests needs; tell whether there was any."""
        used = tuple(used)
        tables = {each.manifest.sha256 for needs in used for each in needs.tables}
        models = {each.artifact.sha256 for needs in used for each in needs.models}
        old: list[Callable[[], None]] = [
            *(self._tables.pop(key).close for key in self._tables.keys() - tables),
            *(self._models.pop(key).close for key in self._models.keys() - models),
        ]
        for close in old:
            close()
        return bool(old)

    def _table(self, pointer: TablePointer) -> Table:
        folder = self._shelf.table(pointer)
        manifest = decode_manifest((folder / MANIFEST).read_bytes())
        owned = self._shelf.owned
        return Table(manifest, manifest.wanted(owned.shards, owned.of), folder / "db")

    def _model(self, pointer: ModelPointer) -> Model:
        folder = self._shelf.model(pointer)
        manifest = artifact.decode_manifest((folder / MANIFEST).read_bytes())
        return load(folder, manifest, self._engine, tried=True)
