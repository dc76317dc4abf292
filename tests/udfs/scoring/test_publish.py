"""From a Keras model to a published version: what is in it, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feature_dist.store import DirectoryStore
from tests.udfs.scoring.models import FEATURES, Published, network, rows, write_source
from udfs.errors import ConfigInvalid, ModelInvalid, ModelUnavailable
from udfs.scoring.golden import decode_golden
from udfs.scoring.model import load
from udfs.scoring.publish import publish_model
from udfs.scoring.publish.source import MAX_ROWS


@pytest.fixture
def source(published: Published, tmp_path: Path) -> Path:
    """The source of the published version, a copy that may be damaged."""
    return Path(shutil.copytree(published.path / "source", tmp_path / "source"))


def publish(source: Path, tmp_path: Path, told: Callable[[str], None] = print) -> Any:
    """Publish it into a store of its own."""
    store = DirectoryStore((tmp_path / "store").as_uri())
    return publish_model(source, store, 1, 0, tmp_path / "work", told)


def test_what_a_version_consists_of(published: Published) -> None:
    """Its files, in the store and read back; its golden rows are those of the source."""
    paths = [file.path for file in published.manifest.files]
    assert paths == sorted(paths)
    assert {"model.tflite", "features.json", "golden.json", "saved_model/saved_model.pb"} <= {
        *paths
    }
    assert published.manifest.engines == ("litert", "savedmodel")
    assert published.manifest.inputs == FEATURES
    assert (published.manifest.outputs, published.manifest.tolerance) == (1, 1e-5)
    golden = decode_golden((published.directory / "golden.json").read_bytes(), "m")
    assert [row.features for row in golden] == rows(100)
    assert all(published.stored(path).is_file() for path in paths)
    assert published.told[:2] == [
        "litert scores 100 golden rows within 1e-05",
        "savedmodel scores 100 golden rows within 1e-05",
    ]


def test_the_same_source_gives_the_same_files(published: Published, tmp_path: Path) -> None:
    """But for the SavedModel, into which TensorFlow writes numbers of its own."""
    again = Published(tmp_path, published.path / "source", version=2)
    wanted = {file.path: file.sha256 for file in published.manifest.files}
    for file in again.manifest.files:
        assert file.path in wanted
        if not file.path.startswith("saved_model/"):
            assert file.sha256 == wanted[file.path], file.path


def test_nothing_is_written_to_stderr(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorFlow and its converter are kept quiet."""
    publish(source, tmp_path, lambda _text: None)
    assert capfd.readouterr() == ("", "")


def write(name: str, text: str) -> Callable[[Path], None]:
    """A change of a source."""
    return lambda source: source.joinpath(name).write_text(text) and None


def without(*names: str) -> Callable[[Path], None]:
    """Files taken away."""

    def change(source: Path) -> None:
        for name in names:
            (source / name).unlink()

    return change


def spoilt(source: Path) -> None:
    """Faults in every file."""
    (source / "model.keras").unlink()
    write("features.json", json.dumps(FEATURES | {"colour": 1, "model": "1st"}))(source)
    write("golden.jsonl", '{\n[]\n{"user.age": 1}\n')(source)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (without("model.keras"), ["model.keras: the file is missing"]),
        (
            without("model.keras", "features.json", "golden.jsonl"),
            ["model.keras: the file", "features.json: the file", "golden.jsonl: the file"],
        ),
        (write("features.json", "{"), ["features.json: Input data was truncated"]),
        (write("features.json", "[]"), ["features.json: [] is not of type 'object'"]),
        (write("golden.jsonl", ""), ["golden.jsonl: 0 rows (write 1 to 10000 rows"]),
        (write("golden.jsonl", "{}\n" * (MAX_ROWS + 1)), ["golden.jsonl: 10001 rows"]),
        (write("golden.jsonl", '{"user.age": NaN}'), ["golden.jsonl:1: JSON is malformed"]),
        (
            write("golden.jsonl", '{}\n\n{"user.agee": 1}\n[1]'),
            ["golden.jsonl:3: the model does not read user.agee", "golden.jsonl:4: b'[1]' is no"],
        ),
        (
            spoilt,
            ["model.keras: the", "features.json: Add", "features.json.model: '1st'",
             "golden.jsonl:1: Input", "golden.jsonl:2: b'[]'"],
        ),
    ],
    ids=["model", "all", "broken", "list", "empty", "many", "nan", "unknown", "everything"],
)  # fmt: skip
def test_faults_of_the_source_are_told_at_once(
    source: Path, tmp_path: Path, change: Callable[[Path], None], wanted: list[str]
) -> None:
    """Before TensorFlow is started; nothing is stored."""
    change(source)
    with pytest.raises(ConfigInvalid) as caught:
        publish(source, tmp_path)
    found = [str(fault) for fault in caught.value.faults]
    assert len(found) == len(wanted), found
    for text, start in zip(found, wanted, strict=True):
        assert text.startswith(start)
    assert not (tmp_path / "store").exists()


def test_a_missing_source(tmp_path: Path) -> None:
    """All of its files are missing."""
    with pytest.raises(ConfigInvalid, match="put it into"):
        publish(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no zip", None], ids=["empty", "text", "cut"])
def test_a_damaged_keras_file_is_refused(
    source: Path, tmp_path: Path, damage: bytes | None
) -> None:
    """With what Keras says of it."""
    path = source / "model.keras"
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(ModelInvalid, match=r"model\.keras is no model that Keras loads"):
        publish(source, tmp_path)


def test_a_model_of_another_shape_is_refused(source: Path, tmp_path: Path) -> None:
    """With every difference from features.json."""
    spec = json.loads(json.dumps(FEATURES))
    spec["inputs"][0]["features"].pop()
    spec["inputs"][1]["name"] = "figures"
    write("features.json", json.dumps(spec))(source)
    write("golden.jsonl", "{}")(source)
    with pytest.raises(ModelInvalid) as caught:
        publish(source, tmp_path)
    for words in ("input figures", "input ids", "numbers: float32 (rows, 7), not numbers"):
        assert words in str(caught.value)


def test_a_model_whose_tensors_are_no_rows_is_refused(tmp_path: Path) -> None:
    """Each of them is named."""
    keras = pytest.importorskip("keras")
    first = keras.Input((2, 3), name="numbers")
    second = keras.Input((2,), name="ids", batch_size=4, dtype="int32")
    model = keras.Model([first, second], [first, first])
    with pytest.raises(ModelInvalid) as caught:
        publish(write_source(tmp_path / "source", model), tmp_path)
    for words in ("'numbers' has the shape (None, 2, 3)", "'ids' has the shape (4, 2)", "outputs"):
        assert words in str(caught.value)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_model_without_declared_inputs_is_refused(tmp_path: Path) -> None:
    """It cannot be compared with features.json."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ModelInvalid, match="build a functional model"):
        publish(write_source(tmp_path / "source", model), tmp_path)


def test_a_model_that_scores_nan_is_refused(tmp_path: Path) -> None:
    """Here the logarithm of what is negative for some rows."""
    keras = pytest.importorskip("keras")
    model = network(last=keras.ops.log)
    with pytest.raises(ModelInvalid, match=r"of 30 golden rows score no finite number \(\d+: \["):
        publish(write_source(tmp_path / "source", model, golden=30), tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_model_that_litert_cannot_run_is_published_without_it(tmp_path: Path) -> None:
    """And that is told, with the operators."""
    keras = pytest.importorskip("keras")
    model = network(last=lambda x: keras.ops.erfinv(keras.ops.tanh(x) * 0.9))
    found = Published(tmp_path, write_source(tmp_path / "source", model, golden=10))
    assert found.manifest.engines == ("savedmodel",)
    assert "LiteRT lacks operators of the model (Erfinv)" in found.told[0]
    assert "model.tflite" not in {file.path for file in found.manifest.files}
    assert load(found.directory, found.manifest, "savedmodel").score(rows(1))
    with pytest.raises(ModelInvalid, match="not for 'litert'"):
        load(found.directory, found.manifest)


def test_litert_that_scores_otherwise_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored."""
    other = network(seed=9)
    from udfs.scoring.publish import export, version  # noqa: PLC0415 - next to its use

    def convert(directory: Path) -> bytes:
        other.export(str(directory) + ".other", format="tf_saved_model", verbose=False)
        return export.convert(Path(f"{directory}.other"))

    monkeypatch.setattr(version, "convert", convert)
    with pytest.raises(ModelInvalid, match=r"ctr_small@1 in litert: golden row 0 .* wanted"):
        publish(source, tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    """It may be writable later."""
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ModelUnavailable, match="ctr_small@1 cannot be stored"):
        publish(source, tmp_path)
