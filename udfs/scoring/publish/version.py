"""One version of a model: exported, converted, compared, stored and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from feature_dist.store import FileStore, sha256_of
from udfs.errors import ModelInvalid, ModelUnavailable, TableUnavailable
from udfs.scoring.artifact import (
    FEATURES_FILE,
    FORMAT,
    TOLERANCE,
    ModelFile,
    ModelManifest,
    decode_manifest,
    encode_manifest,
    fetch,
)
from udfs.scoring.engine import LITERT, LITERT_FILE, SAVED_MODEL, SAVED_MODEL_DIRECTORY
from udfs.scoring.golden import GOLDEN_FILE, GoldenRow, encode_golden, score_all
from udfs.scoring.model import load
from udfs.scoring.publish.export import Unsupported, convert, export
from udfs.scoring.publish.source import Source, read_source
from udfs.scoring.quiet import silenced
from udfs.scoring.saved_model import SavedModelEngine

_SHOWN: Final = 10  # rows with a score that is not finite


def publish_model(
    source: Path,
    store: FileStore,
    version: int,
    now_ms: int,
    work_dir: Path,
    told: Callable[[str], None] = lambda _text: None,
) -> ModelManifest:
    """Build the files of a version, compare its engines and store them.

    Args:
        source: Directory with ``model.keras``, ``features.json`` and ``golden.jsonl``.
        store: Where files go; those that it has already are not written again.
        version: Above all earlier ones.
        now_ms: When this happens.
        work_dir: Takes the files while they are made; empty.
        told: Progress, in sentences.

    Returns:
        The manifest; nothing was announced, and it is not stored itself.

    Raises:
        ConfigInvalid: The source lacks files, or features.json or golden rows have faults.
        ModelInvalid: The model does not fit features.json, gives a score that is not finite, or
            LiteRT scores otherwise than the SavedModel.
        ModelUnavailable: Something cannot be read or written.
    """
    checked = read_source(source)
    artifact = work_dir / "artifact"
    try:
        artifact.mkdir(parents=True)
        manifest = _built(checked, artifact, version, now_ms, told)
    except OSError as error:
        raise ModelUnavailable(f"{artifact} cannot be written: {error}") from error
    for engine in manifest.engines:
        with silenced():  # LiteRT tells of its delegate
            load(artifact, manifest, engine).close()
        told(f"{engine} scores {len(checked.rows)} golden rows within {manifest.tolerance:g}")
    try:
        for file in manifest.files:
            store.put(artifact / file.path, file.sha256)
    except (TableUnavailable, OSError) as error:
        raise ModelUnavailable(f"{manifest.label} cannot be stored: {error}") from error
    manifest = decode_manifest(encode_manifest(manifest))
    fetch(manifest, store, work_dir / "fetched")
    told(f"stored {len(manifest.files)} files, {sum(f.bytes for f in manifest.files)} bytes")
    return manifest


def _built(
    source: Source, artifact: Path, version: int, now_ms: int, told: Callable[[str], None]
) -> ModelManifest:
    """Write the files of the artifact."""
    inputs = source.inputs
    directory = artifact / SAVED_MODEL_DIRECTORY
    export(source.model, inputs.ports, directory)
    truth = SavedModelEngine(directory, inputs.ports)
    golden = _golden(truth, source)
    truth.close()
    (artifact / GOLDEN_FILE).write_bytes(encode_golden(golden))
    features = msgspec.json.format(msgspec.json.encode(inputs.plain()), indent=1)
    (artifact / FEATURES_FILE).write_bytes(features)
    engines: tuple[str, ...] = (LITERT, SAVED_MODEL)
    try:
        (artifact / LITERT_FILE).write_bytes(convert(directory))
    except Unsupported as error:
        engines = (SAVED_MODEL,)
        told(f"published for {SAVED_MODEL} alone: LiteRT lacks operators of the model ({error})")
    return ModelManifest(
        format=FORMAT,
        model=inputs.model,
        version=version,
        created_ms=now_ms,
        inputs=inputs.plain(),
        outputs=truth.outputs,
        engines=engines,
        tolerance=TOLERANCE,
        files=tuple(
            _file(artifact, path) for path in sorted(artifact.rglob("*")) if path.is_file()
        ),
    )


def _golden(truth: SavedModelEngine, source: Source) -> list[GoldenRow]:
    scores = score_all(truth, source.inputs, source.rows)
    wrong = np.flatnonzero(~np.isfinite(scores).all(axis=1)).tolist()
    if wrong:
        shown = ", ".join(f"{row}: {scores[row].tolist()}" for row in wrong[:_SHOWN])
        raise ModelInvalid(
            f"{source.inputs.model}: {len(wrong)} of {len(scores)} golden rows score no finite "
            f"number ({shown}); train the model anew, or bound what goes into it"
        )
    return [
        GoldenRow(row, tuple(found))
        for row, found in zip(source.rows, scores.tolist(), strict=True)
    ]


def _file(artifact: Path, path: Path) -> ModelFile:
    return ModelFile(
        path=path.relative_to(artifact).as_posix(),
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
    )
