"""A loaded model: compared with its golden rows, and what it scores."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.udfs.scoring.models import FEATURES, Published, inputs, rows
from udfs.errors import ModelInvalid
from udfs.scoring.artifact import ModelFile, ModelManifest
from udfs.scoring.engine import ENGINES, LITERT
from udfs.scoring.golden import GoldenRow, check_golden, decode_golden, encode_golden
from udfs.scoring.model import Model, load


def resealed(manifest: ModelManifest, directory: Path, **changes: Any) -> ModelManifest:
    """The manifest of files that were changed: their hashes are right."""
    files = tuple(
        ModelFile(
            path=file.path,
            sha256=hashlib.sha256((directory / file.path).read_bytes()).hexdigest(),
            bytes=(directory / file.path).stat().st_size,
        )
        for file in manifest.files
    )
    return msgspec.structs.replace(manifest, files=files, **changes)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_published_model_scores_as_published(published: Published, engine: str) -> None:
    """Every golden row, in both engines, in one call and one by one."""
    model = load(published.directory, published.manifest, engine)
    golden = decode_golden((published.directory / "golden.json").read_bytes(), "m")
    assert (model.name, model.version, model.engine.name) == ("ctr_small", 1, engine)
    assert model.features == inputs().features
    together = model.score([row.features for row in golden])
    np.testing.assert_allclose(together, [row.scores[0] for row in golden], rtol=0, atol=1e-5)  # type: ignore[arg-type]
    for row, score in zip(golden[:20], together, strict=False):
        (alone,) = model.score([row.features])
        assert isinstance(alone, float)
        assert alone == pytest.approx(score, abs=1e-6)
    assert model.score([]) == []
    model.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_other_golden_scores_are_refused(
    published: Published, directory: Path, engine: str
) -> None:
    """With model, row, what was wanted and what was found."""
    path = directory / "golden.json"
    golden = decode_golden(path.read_bytes(), "m")
    golden[41] = GoldenRow(golden[41].features, (golden[41].scores[0] + 1e-3,))
    path.write_bytes(encode_golden(golden))
    manifest = resealed(published.manifest, directory)
    with pytest.raises(ModelInvalid) as caught:
        load(directory, manifest, engine)
    text = str(caught.value)
    assert text.startswith(f"ctr_small@1 in {engine}: golden row 41 scores [0.")
    assert f"wanted [{golden[41].scores[0]}] within 1e-05 (1 of 100 rows differ)" in text


@pytest.mark.parametrize(
    ("golden", "words"),
    [
        (b"", "no golden rows"),
        (b"[]", "is empty"),
        (b'[{"features": {}}]', "no golden rows"),
        (b'[{"features": {}, "scores": [null]}]', "no golden rows"),
        (b'[{"features": {}, "scores": [0.5, 0.5]}]', "golden row 0 scores"),
        (b'[{"features": {}, "scores": []}]', "golden row 0 scores"),
    ],
    ids=["nothing", "none", "no scores", "null", "two", "no numbers"],
)
def test_golden_rows_that_are_none(
    published: Published, directory: Path, golden: bytes, words: str
) -> None:
    """Are refused, whatever their hash."""
    (directory / "golden.json").write_bytes(golden)
    with pytest.raises(ModelInvalid, match=f"ctr_small@1.*{words}"):
        load(directory, resealed(published.manifest, directory))


@pytest.mark.parametrize("name", ["model.tflite", "golden.json", "features.json"])
def test_a_file_that_was_damaged_here_is_refused(
    published: Published, directory: Path, name: str
) -> None:
    """Its hash is compared before an engine reads it."""
    path = directory / name
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(ModelInvalid, match=rf"ctr_small@1: .*{name} has SHA-256.*fetch it again"):
        load(directory, published.manifest)
    path.write_bytes(blob[:-3])
    with pytest.raises(ModelInvalid, match="bytes, the manifest says"):
        load(directory, published.manifest)
    path.unlink()
    with pytest.raises(ModelInvalid, match="is missing"):
        load(directory, published.manifest)


def with_width(width: int) -> dict[str, Any]:
    """A features.json whose vector has another width."""
    spec: dict[str, Any] = json.loads(json.dumps(FEATURES))
    spec["inputs"][0]["features"][3]["width"] = width
    return spec


@pytest.mark.parametrize("engine", ENGINES)
def test_another_input_shape_is_refused(published: Published, directory: Path, engine: str) -> None:
    """A model that was built for other features."""
    (directory / "features.json").write_text(json.dumps(with_width(5)))
    manifest = resealed(published.manifest, directory, inputs=with_width(5))
    with pytest.raises(ModelInvalid, match=r"has numbers: float32 \(rows, 7\), not .*, 8\)"):
        load(directory, manifest, engine)


def test_features_that_the_manifest_does_not_name(published: Published, directory: Path) -> None:
    """Both say the same or the model is refused."""
    for text in (json.dumps(with_width(5)), "{"):
        (directory / "features.json").write_text(text)
        with pytest.raises(ModelInvalid, match=r"features\.json is not what its manifest says"):
            load(directory, resealed(published.manifest, directory))


def test_another_number_of_outputs_is_refused(published: Published) -> None:
    """As the manifest says it."""
    manifest = msgspec.structs.replace(published.manifest, outputs=2)
    with pytest.raises(ModelInvalid, match="gives 1 numbers a row, its manifest says 2"):
        load(published.directory, manifest)


@pytest.mark.parametrize("engine", [LITERT, "abacus"])
def test_an_engine_that_the_artifact_lacks(published: Published, engine: str) -> None:
    """With those that it has."""
    manifest = msgspec.structs.replace(published.manifest, engines=("savedmodel",))
    with pytest.raises(ModelInvalid, match=f"for savedmodel, not for '{engine}'; choose"):
        load(published.directory, manifest, engine)


class Told:
    """An engine that gives what it is told."""

    name = "told"

    def __init__(self, scores: Sequence[Sequence[float]]) -> None:
        self.scores = np.array(scores, np.float32)
        self.outputs = self.scores.shape[1]

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """The scores, of as many rows."""
        return self.scores[: len(inputs[0])]

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([[0.5], [0.25]], [0.5, 0.25]),
        ([[0.5], [math.nan], [0.25]], [0.5, None, 0.25]),
        ([[math.inf], [-math.inf]], [None, None]),
        ([[3e38], [3e38], [3e38]], [float(np.float32(3e38))] * 3),
        ([[0.5, 1.0], [0.25, 2.0]], [[0.5, 1.0], [0.25, 2.0]]),
        ([[0.5, math.nan], [0.25, 2.0]], [None, [0.25, 2.0]]),
    ],
    ids=["one", "one nan", "infinite", "large", "two", "two with nan"],
)
def test_what_is_not_finite_is_none(scores: list[list[float]], wanted: list[Any]) -> None:
    """Of that row alone."""
    model = Model("m", 1, inputs(), Told(scores))
    assert model.score(rows(len(scores))) == wanted


@pytest.mark.parametrize(
    ("found", "wanted", "close"),
    [(0.5, 0.500009, True), (0.5, 0.50002, False), (1000.0, 1000.005, True),
     (1000.0, 1000.02, False), (1e-9, 0.0, True), (math.nan, 0.5, False), (math.inf, 0.5, False)],
)  # fmt: skip
def test_the_tolerance(found: float, wanted: float, *, close: bool) -> None:
    """Absolute below 1, relative above; NaN is never close."""
    check: Callable[[], None] = lambda: check_golden(  # noqa: E731 - called in two ways
        Told([[found]]), inputs(), [GoldenRow({}, (wanted,))], 1e-5, "m@1"
    )
    if close:
        check()
    else:
        with pytest.raises(ModelInvalid, match="golden row 0"):
            check()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_tried_before_is_opened_without_a_second_look(
    published: Published, directory: Path, engine: str
) -> None:
    """Neither hashes nor golden rows are read: somebody else has just done it."""
    (directory / "golden.json").unlink()
    model = load(directory, published.manifest, engine, tried=True)
    (score,) = model.score(rows(1))
    assert isinstance(score, float)
    model.close()
