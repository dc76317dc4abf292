"""Where a subtask keeps tables and models on its disk: names, and what is there.

Below the folder of a subtask::

    tables/<digest>-<shards>/   manifest.json, db/     a release, taken in
    models/<digest>/            manifest.json, …       an artifact, verified
    files/ab/<sha256>.sst       what tables were taken in from; linked, not copied

A folder is made beside, with the suffix ``.new``, and renamed when it is whole: what has its
final name is whole, whatever was killed in between.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from feature_dist.manifest import TableManifest, decode_manifest
from feature_dist.pointer import TablePointer
from udfs.scoring.pointer import ModelPointer

NEW: Final = ".new"
MANIFEST: Final = "manifest.json"
_DIGITS: Final = 16


class Owned(msgspec.Struct, frozen=True):
    """The shards of a subtask, a contiguous range.

    Args:
        start: First one.
        stop: One after the last.
        of: How many there are.
    """

    start: int
    stop: int
    of: int

    @property
    def shards(self) -> range:
        """The range."""
        return range(self.start, self.stop)


class Shelf:
    """The folder of one subtask.

    Args:
        folder: Of this subtask alone.
        owned: Its shards.
    """

    def __init__(self, folder: Path, owned: Owned) -> None:
        self.folder = folder
        self.owned = owned

    def table(self, pointer: TablePointer) -> Path:
        """Where a release lies, or would; not the same for other shards."""
        owned = self.owned
        part = f"{owned.start}-{owned.stop}of{owned.of}"
        return self.folder / "tables" / f"{pointer.manifest.sha256[:_DIGITS]}-{part}"

    def model(self, pointer: ModelPointer) -> Path:
        """Where an artifact lies, or would."""
        return self.folder / "models" / pointer.artifact.sha256[:_DIGITS]

    @property
    def files(self) -> Path:
        """Where the files of tables lie."""
        return self.folder / "files"

    def left_over(self, keep: Collection[Path]) -> list[Path]:
        """Give all that lies here besides some releases and the files that they are made of.

        Args:
            keep: Folders as `table` and `model` give them.
        """
        found = [
            path
            for part in ("tables", "models")
            for path in _children(self.folder / part)
            if path not in keep
        ]
        wanted = {f"{file.sha256}.sst" for folder in keep for file in _manifest(folder).files}
        found += [
            path
            for shelf in _children(self.files)
            for path in _children(shelf)
            if path.name not in wanted
        ]
        return found

    def sweep(self, keep: Collection[Path]) -> None:
        """Remove what `left_over` gives."""
        for path in self.left_over(keep):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


class _NoFiles(msgspec.Struct):
    files: tuple[()] = ()


def _manifest(folder: Path) -> TableManifest | _NoFiles:
    path = folder / MANIFEST
    if folder.parent.name != "tables" or not path.is_file():
        return _NoFiles()
    return decode_manifest(path.read_bytes())
