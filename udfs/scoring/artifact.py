"""What a published model consists of: its files, each with its proof."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from feature_dist.store import FileStore, sha256_of
from udfs.errors import (
    ConfigInvalid,
    ModelInvalid,
    ModelUnavailable,
    TableInvalid,
    TableUnavailable,
)
from udfs.scoring.engine import (
    ENGINES,
    LITERT,
    LITERT_FILE,
    SAVED_MODEL,
    SAVED_MODEL_DIRECTORY,
)
from udfs.scoring.golden import GOLDEN_FILE
from udfs.scoring.inputs import read_inputs

FORMAT: Final = 1
TOLERANCE: Final = 1e-5
"""How far engines may differ from the SavedModel; float32 has about 1e-7."""
FEATURES_FILE: Final = "features.json"
FILE_OF: Final = {LITERT: LITERT_FILE, SAVED_MODEL: f"{SAVED_MODEL_DIRECTORY}/saved_model.pb"}
"""By engine: a file without which it cannot run."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an artifact.

    Args:
        path: Where it lies in the artifact, e.g. ``saved_model/saved_model.pb``.
        sha256: Of its content; its name in the store.
        bytes: Its length.
    """

    path: str
    sha256: str
    bytes: int


class ModelManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one model.

    Args:
        format: Of this manifest.
        model: Name.
        version: Rises with every version of the model.
        created_ms: When it was published.
        inputs: Its features.json, checked, as plain data; see `udfs.scoring.inputs.read_inputs`.
        outputs: How many numbers a row gets.
        engines: Those it was made for and compared in, of `udfs.scoring.engine.ENGINES`.
        tolerance: How far they may differ from the golden scores.
        files: In order of their paths.
    """

    format: int
    model: str
    version: int
    created_ms: int
    inputs: dict[str, Any]
    outputs: int
    engines: tuple[str, ...]
    tolerance: float
    files: tuple[ModelFile, ...]

    @property
    def label(self) -> str:
        """Name and version, as decisions tell them."""
        return f"{self.model}@{self.version}"


def encode_manifest(manifest: ModelManifest) -> bytes:
    """Write a manifest, the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)


def decode_manifest(blob: bytes) -> ModelManifest:
    """Read a manifest.

    Raises:
        ModelInvalid: Not one, of another format, or one whose files would lie elsewhere.
    """
    try:
        head = msgspec.json.decode(blob, type=_Head)
        if head.format != FORMAT:
            raise ModelInvalid(
                f"manifest of {head.model!r} has format {head.format}, this code reads "
                f"{FORMAT}: upgrade, or publish with the release that runs here"
            )
        manifest = msgspec.json.decode(blob, type=ModelManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"{len(blob)} bytes are no manifest of a model: {error}") from error
    if faults := list(_faults(manifest)):
        raise ModelInvalid(
            f"manifest of {manifest.label}: {'; '.join(faults)}; publish the model again"
        )
    return manifest


class _Head(msgspec.Struct):
    """What every format has."""

    format: int
    model: str


def _faults(manifest: ModelManifest) -> Iterator[str]:
    if manifest.version < 1:
        yield f"version {manifest.version} is below 1"
    if manifest.outputs < 1:
        yield f"{manifest.outputs} outputs"
    if not manifest.engines or set(manifest.engines) - set(ENGINES):
        yield f"engines {list(manifest.engines)}, known are {', '.join(ENGINES)}"
    if not 0 <= manifest.tolerance < 1:
        yield f"a tolerance of {manifest.tolerance}"
    try:
        named = read_inputs(manifest.inputs, "inputs").model
    except ConfigInvalid as error:
        yield str(error)
    else:
        if named != manifest.model:
            yield f"its inputs are those of {named!r}"
    there = {file.path for file in manifest.files}
    for path in (
        FEATURES_FILE,
        GOLDEN_FILE,
        *(FILE_OF[e] for e in manifest.engines if e in FILE_OF),
    ):
        if path not in there:
            yield f"it has no {path}"
    yield from _file_faults(manifest.files)


def _file_faults(files: tuple[ModelFile, ...]) -> Iterator[str]:
    paths = {file.path for file in files}
    if len(paths) != len(files):
        yield "a path is there twice"
    for file in files:
        path = PurePosixPath(file.path)
        # What is written the long way round (a//b, ./a) is refused too: one name for one file.
        if str(path) != file.path or path.is_absolute() or {"..", "."} & set(path.parts):
            yield f"path {file.path!r} is not below the model's directory"
        elif not path.parts or "\\" in file.path or "\0" in file.path:
            yield f"path {file.path!r} names no file"
        elif any(str(parent) in paths for parent in path.parents):
            yield f"path {file.path!r} lies in a file"
        if not _SHA256.fullmatch(file.sha256) or file.bytes < 0:
            yield f"file {file.path!r} has SHA-256 {file.sha256!r} and {file.bytes} bytes"


def check_files(manifest: ModelManifest, directory: Path) -> None:
    """Compare the files of a model with its manifest.

    Args:
        manifest: Of the model.
        directory: Where `fetch` put them.

    Raises:
        ModelInvalid: One is missing, or of another length or content.
        ModelUnavailable: One cannot be read.
    """
    for file in manifest.files:
        path = directory / file.path
        try:
            size = path.stat().st_size
            sha256 = sha256_of(path) if size == file.bytes else ""
        except FileNotFoundError as error:
            raise ModelInvalid(f"{manifest.label}: {path} is missing; fetch it again") from error
        except OSError as error:
            raise ModelUnavailable(f"{manifest.label}: {path} cannot be read: {error}") from error
        if size != file.bytes:
            raise ModelInvalid(
                f"{manifest.label}: {path} has {size} bytes, the manifest says {file.bytes}; "
                "fetch it again"
            )
        if sha256 != file.sha256:
            raise ModelInvalid(
                f"{manifest.label}: {path} has SHA-256 {sha256}, not {file.sha256}; fetch it again"
            )


def fetch(manifest: ModelManifest, store: FileStore, directory: Path) -> None:
    """Bring the files of a model here and verify them, all or none.

    They are brought to ``NAME.PID.part`` beside the directory, which is then renamed; what a
    killed process leaves is a directory of that kind. A directory that is there already stays if
    its files are what the manifest says, and is replaced if not.

    Args:
        manifest: Of the model.
        store: Where they lie.
        directory: Will hold the files, and nothing else.

    Raises:
        ModelUnavailable: One is not there, cannot be read, or does not fit on the disk.
        ModelInvalid: One is not what the manifest says.
    """
    if directory.is_dir():
        with contextlib.suppress(ModelInvalid):
            check_files(manifest, directory)
            return
    part = directory.with_name(f"{directory.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for file in manifest.files:
            store.fetch(file.sha256, file.bytes, part / file.path)
        if directory.is_dir():
            shutil.rmtree(directory)
        part.rename(directory)
    except TableInvalid as error:
        # The store speaks of tables, its first use.
        fact = str(error).removesuffix(": publish the table again")
        raise ModelInvalid(f"{manifest.label}: {fact}; publish the model again") from error
    except (TableUnavailable, OSError) as error:
        raise ModelUnavailable(f"{manifest.label} cannot be fetched: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
