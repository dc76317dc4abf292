"""The contract of an engine, for each of them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.udfs.scoring.models import Published, inputs, network, rows
from udfs.errors import ModelInvalid, ModelUnavailable
from udfs.scoring.engine import Engine
from udfs.scoring.litert import LADDER, LiteRtEngine
from udfs.scoring.ports import Port
from udfs.scoring.publish.export import convert, export
from udfs.scoring.saved_model import SavedModelEngine

Make = Callable[[Path], Engine]


def litert(directory: Path, ports: Any = None) -> Engine:
    """LiteRT, of an artifact."""
    return LiteRtEngine(directory / "model.tflite", ports or inputs().ports)


def saved_model(directory: Path, ports: Any = None) -> Engine:
    """TensorFlow, of an artifact."""
    return SavedModelEngine(directory / "saved_model", ports or inputs().ports)


ENGINES = pytest.mark.parametrize("make", [litert, saved_model])
COUNTS = [1, 2, 5, 64, 200]


@pytest.fixture(scope="module", params=[litert, saved_model], ids=["litert", "savedmodel"])
def engine(request: pytest.FixtureRequest, published: Published) -> Iterator[Engine]:
    """Each engine with the same model."""
    made = request.param(published.directory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def truth() -> Callable[[list[NDArray[Any]]], NDArray[Any]]:
    """The model's arithmetic in NumPy, of the weights that Keras gave it."""
    model = network()
    table, kernel, bias, last, last_bias = [each.value.numpy() for each in model.weights]

    def score(tensors: list[NDArray[Any]]) -> NDArray[Any]:
        numbers, ids = tensors
        x = np.concatenate([numbers, table[ids].reshape(len(ids), -1)], axis=1)
        x = np.maximum(x @ kernel + bias, 0) @ last + last_bias
        return np.asarray(1 / (1 + np.exp(-x)))

    return score


@pytest.mark.parametrize("count", COUNTS)
def test_scores_are_the_models(
    engine: Engine, truth: Callable[[list[NDArray[Any]]], NDArray[Any]], count: int
) -> None:
    """Within 1e-5, for batches below, on and above the ladder."""
    tensors = inputs().tensors(rows(count, seed=count))
    found = engine.run(tensors)
    assert found.shape == (count, engine.outputs) == (count, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth(tensors), rtol=0, atol=1e-5)


def test_scores_do_not_depend_on_the_cut(engine: Engine) -> None:
    """A row alone scores as in a batch of any size."""
    tensors = inputs().tensors(rows(150))
    together = engine.run(tensors)
    rng = random.Random(5)
    at = 0
    while at < 150:
        size = rng.choice([1, 1, 2, 3, *LADDER, 33])
        part = engine.run([tensor[at : at + size] for tensor in tensors])
        np.testing.assert_allclose(part, together[at : at + size], rtol=0, atol=1e-6)
        at += size


@pytest.mark.parametrize("count", [*COUNTS, *LADDER])
def test_a_later_call_changes_no_earlier_result(engine: Engine, count: int) -> None:
    """What was returned is the caller's."""
    first = engine.run(inputs().tensors(rows(count)))
    kept = first.copy()
    first_again = engine.run(inputs().tensors(rows(count, seed=2)))
    assert np.array_equal(first, kept)
    first[:] = 7  # nor does the caller's writing change the engine
    assert not np.array_equal(first_again, first)


def test_no_rows(engine: Engine) -> None:
    """Give no scores."""
    assert engine.run(inputs().tensors([])).shape == (0, 1)


def test_inputs_are_not_changed(engine: Engine) -> None:
    """They may be read-only, and parts of larger ones."""
    tensors = [np.asfortranarray(tensor.copy()) for tensor in inputs().tensors(rows(20))]
    kept = [tensor.copy() for tensor in tensors]
    found = engine.run(tensors)
    np.testing.assert_allclose(found, engine.run(kept), atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(tensors, kept, strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda numbers, ids: [numbers[:, :6], ids], "'numbers' is float32 (3, 6), not"),
        (lambda numbers, ids: [numbers[:, :1], ids], "'numbers' is float32 (3, 1), not"),
        (lambda numbers, ids: [numbers[0], ids[0]], "'numbers' is float32 (7,), not"),
        (lambda numbers, ids: [numbers, ids.astype(np.int64)], "'ids' is int64 (3, 2), not int32"),
        (lambda numbers, ids: [numbers.astype(np.float64), ids], "'numbers' is float64"),
        (lambda numbers, ids: [numbers, ids[:2]], "'ids' is int32 (2, 2), not int32 (3, 2)"),
        (lambda numbers, ids: [ids, numbers], "'numbers' is int32"),
        (lambda numbers, _ids: [numbers], "1 tensors for a model of 2 inputs"),
        (lambda _numbers, _ids: [], "0 tensors"),
        (lambda numbers, ids: [numbers, ids, ids], "3 tensors"),
    ],
    ids=["narrow", "one wide", "flat", "int64", "float64", "rows", "order", "one", "none", "three"],
)  # fmt: skip
def test_other_tensors_are_refused(
    engine: Engine, change: Callable[..., list[NDArray[Any]]], words: str
) -> None:
    """With what was given and what is wanted; and the next call works."""
    tensors = inputs().tensors(rows(3))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        engine.run(change(*tensors))
    assert words in str(caught.value)
    assert engine.run(tensors).shape == (3, 1)


@ENGINES
def test_a_closed_engine_says_so(published: Published, make: Make) -> None:
    """Never a crash."""
    engine = make(published.directory)
    engine.close()
    with pytest.raises(ModelInvalid, match="closed"):
        engine.run(inputs().tensors(rows(1)))


OTHER_PORTS = {
    "width": ([Port("numbers", "float32", 8), Port("ids", "int32", 2)],
              ["has numbers: float32 (rows, 7), not numbers: float32 (rows, 8)"]),
    "dtype": ([Port("numbers", "float32", 7), Port("ids", "int64", 2)],
              ["has ids: int32 (rows, 2), not ids: int64"]),
    "names": ([Port("figures", "float32", 7), Port("ids", "int32", 2)],
              ["no input figures", "input numbers: float32 (rows, 7) besides"]),
    "fewer": ([Port("numbers", "float32", 7)], ["input ids: int32 (rows, 2) besides"]),
}  # fmt: skip


@pytest.mark.parametrize(("ports", "words"), OTHER_PORTS.values(), ids=OTHER_PORTS.keys())
@pytest.mark.parametrize("make", [litert, saved_model])
def test_a_model_with_other_inputs_is_refused(
    published: Published, make: Callable[..., Engine], ports: list[Port], words: list[str]
) -> None:
    """When it is loaded, with every difference."""
    with pytest.raises(ModelInvalid, match=r"does not fit features\.json") as caught:
        make(published.directory, ports)
    assert all(word in str(caught.value) for word in words)


def test_the_order_of_inputs_is_the_callers(published: Published) -> None:
    """Whatever order the file has."""
    ports = inputs().ports
    numbers, ids = inputs().tensors(rows(5))
    for make in (litert, saved_model):
        there = make(published.directory, ports).run([numbers, ids])
        back = make(published.directory, ports[::-1]).run([ids, numbers])
        np.testing.assert_array_equal(there, back)


def cut(blob: bytes) -> bytes:
    """Half of it."""
    return blob[: len(blob) // 2]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _blob: b"",
    "one byte": lambda blob: blob[:1],
    "cut": cut,
    "last byte missing": lambda blob: blob[:-1],
    "garbage": lambda _blob: random.Random(1).randbytes(3000),
    "garbage behind the head": lambda blob: blob[:8] + random.Random(1).randbytes(3000),
    "zeros": lambda blob: bytes(len(blob)),
    "text": lambda _blob: b"version https://example.org/not-a-model\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_flat_buffer_is_refused(
    directory: Path, damage: Callable[[bytes], bytes]
) -> None:
    """LiteRT verifies its structure before it is used."""
    path = directory / "model.tflite"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelInvalid, match="publish the model again"):
        litert(directory)


def test_flipped_bits_do_not_end_the_process(directory: Path) -> None:
    """A model loads or is refused; what it scores then is for the golden rows to judge."""
    path = directory / "model.tflite"
    blob = path.read_bytes()
    rng = random.Random(3)
    for _ in range(40):
        wrong = bytearray(blob)
        wrong[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
        path.write_bytes(wrong)
        try:
            litert(directory).run(inputs().tensors(rows(2)))
        except ModelInvalid:
            continue


@pytest.mark.parametrize("damage", ["graph", "graph missing", "weights", "weights missing", "all"])
def test_a_damaged_saved_model_is_refused(directory: Path, damage: str) -> None:
    """Whatever file of it is damaged."""
    weights = "variables/variables.data-00000-of-00001"
    name = "saved_model.pb" if damage.startswith("graph") else weights
    path = directory / "saved_model" / name
    if damage == "all":
        shutil.rmtree(directory / "saved_model")
    elif damage.endswith("missing"):
        path.unlink()
    else:
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(ModelInvalid, match="publish the model again"):
        saved_model(directory)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """It may come yet."""
    with pytest.raises(ModelUnavailable, match=r"model\.tflite cannot be read"):
        litert(tmp_path)


def test_several_outputs_and_a_deleted_file(tmp_path: Path) -> None:
    """A row gets all its numbers; the file is not needed after loading."""
    model = network(outputs=3)
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", inputs().ports, tmp_path / "saved_model")
    (tmp_path / "model.tflite").write_bytes(convert(tmp_path / "saved_model"))
    engines = [litert(tmp_path), saved_model(tmp_path)]
    (tmp_path / "model.tflite").unlink()
    tensors = inputs().tensors(rows(37))
    wanted = model(tensors).numpy()
    for engine in engines:
        assert engine.outputs == 3
        np.testing.assert_allclose(engine.run(tensors), wanted, rtol=0, atol=1e-5)
