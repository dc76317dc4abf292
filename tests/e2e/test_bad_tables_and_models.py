"""Tables, models and flows that are wrong: refused with the reason, and the version before goes on.

One job for all of it; each test ends with decisions on what ran before, or on a good successor.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feature_dist.pointer import read_pointers as read_tables
from feature_dist.store import DirectoryStore, sha256_of
from stack import Stack
from tests.e2e.running import Running, await_until
from tests.e2e.scoring_job import EVERY, OFFER, Scoring
from tests.offline import FEATURES, golden_row, make_model
from udfs.scoring.artifact import ModelFile, ModelManifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DISK_BYTES = 96 << 20
VIEWS_SENT = 40


@dataclasses.dataclass
class Shop:
    """The job, its disk, and what it should be running."""

    scoring: Scoring
    disk: Path
    small: bool
    runs: int = 0

    def goes_on(self, revision: int | None = None) -> list[dict[str, Any]]:
        """See that every event is decided upon, on what runs; give the decisions."""
        if revision is not None:
            self.scoring.committed(revision)
            self.runs = revision
        before = len(self.scoring.sent)
        self.scoring.send(VIEWS_SENT * EVERY)
        ids = {each["event_id"] for each in self.scoring.sent[before:]
               if each["event_type"] == "view"}  # fmt: skip

        def probe() -> list[dict[str, Any]]:
            found = [each for each in self.scoring.job.decisions()
                     if each["trigger"]["event_ids"][0] in ids]  # fmt: skip
            return found if len(found) == len(ids) else []

        found: list[dict[str, Any]] = await_until(probe, "decisions")
        assert {each["revision"] for each in found} == {self.runs}
        return found

    def refuses(self, revision: int, *said: str) -> None:
        """See that a revision is refused, leaves nothing behind, and changes nothing."""
        reasons = self.scoring.refused(revision)
        assert all(each in reasons for each in said), reasons
        self.goes_on()
        self.tidy()

    def tidy(self) -> None:
        """See that nothing lies on the disk but what runs and what ran before."""
        scoring = self.scoring
        committed = {each["revision"] for each in scoring.job.acks(status="COMMITTED")}
        newest = scoring.wanted_on_disk(self.runs)
        allowed = scoring.wanted_on_disk(*committed, *range(1, 5))
        await_until(
            lambda: newest <= scoring.on_disk() <= allowed, f"{scoring.on_disk()} to be tidy", 30
        )


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The job at parallelism 1; its disk is a small one where that can be had."""
    folder = tmp_path_factory.mktemp("bad")
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "millrace-test", str(disk)]
    small = os.geteuid() == 0
    small = small and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        with Running(stack, "bad", idle_advance="off", local_dir=disk) as job:
            scoring = Scoring(job, folder, [f"u{n}" for n in range(500)])
            scoring.begin()
            shop = Shop(scoring, disk, small, runs=max(scoring.revisions))
            shop.goes_on()
            yield shop
            scoring.check(job.decisions(flow="offer"))
    finally:
        if small:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Take the last hundred bytes away."""
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(flip, "SHA-256", id="flipped"),
        pytest.param(cut, "the manifest says", id="cut", marks=pytest.mark.slow),
        pytest.param(Path.unlink, "No such file", id="missing", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_table(shop: Shop, damage: Callable[[Path], None], said: str) -> None:
    """One file of 32."""
    pointer = shop.scoring.release(2)
    damage(shop.scoring.stored(shop.scoring.table_manifest(pointer).files[17].sha256))
    shop.refuses(shop.scoring.push_pointer(pointer), "features.user", said)


@pytest.mark.slow
def test_files_of_another_table(shop: Shop) -> None:
    """Whole and with the right hashes, but not what the manifest proves."""
    scoring = shop.scoring
    mine, other = (scoring.table_manifest(scoring.release(seed)) for seed in (3, 4))
    mixed = tuple(
        msgspec.structs.replace(one, sha256=two.sha256, bytes=two.bytes)
        for one, two in zip(mine.files, other.files, strict=True)
    )
    pointer = scoring.point_to_table(msgspec.structs.replace(mine, files=mixed))
    shop.refuses(scoring.push_pointer(pointer), "features.user", "the manifest says")


def test_a_pointer_to_another_table(shop: Shop) -> None:
    """The watcher looks into what is pointed to."""
    found = {each.table: each for each in read_tables(shop.scoring.base["features"])}
    users, items = found["user"], found["item"]
    wrong = msgspec.structs.replace(users, release=99, manifest=items.manifest)
    shop.refuses(shop.scoring.push_pointer(wrong), "is item@1, not user@99")


def with_file(scoring: Scoring, made: ModelManifest, name: str, content: bytes) -> ModelManifest:
    """Put another content into an artifact, with the right hash."""
    path = scoring.folder / "changed"
    path.write_bytes(content)
    sha256 = sha256_of(path)
    DirectoryStore(scoring.root).put(path, sha256)
    new = ModelFile(path=name, sha256=sha256, bytes=len(content))
    files = tuple(new if file.path == name else file for file in made.files)
    return msgspec.structs.replace(made, files=files)


def content(scoring: Scoring, made: ModelManifest, name: str) -> bytes:
    """Read a file of an artifact."""
    (file,) = (each for each in made.files if each.path == name)
    return scoring.stored(file.sha256).read_bytes()


def test_a_model_that_differs_from_its_golden_rows(shop: Shop) -> None:
    """By a thousandth in one of them."""
    scoring = shop.scoring
    made = scoring.version(make_model(scoring.folder / "golden", 5))
    rows = json.loads(content(scoring, made, "golden.json"))
    rows[7]["scores"][0] += 0.001
    changed = with_file(scoring, made, "golden.json", json.dumps(rows).encode())
    revision = scoring.push_pointer(scoring.point_to_model(changed))
    shop.refuses(revision, "models.ctr", "golden row 7", "1 of 20 rows")


def wider() -> dict[str, Any]:
    """Features with one more number."""
    features: dict[str, Any] = json.loads(json.dumps(FEATURES))
    features["inputs"][0]["features"].append({"feature": "item.rank", "default": 0.0})
    return features


@pytest.mark.slow
def test_a_model_of_another_shape(shop: Shop) -> None:
    """Its core takes 14 numbers, features.json has 13."""
    scoring = shop.scoring
    made = scoring.version(make_model(scoring.folder / "narrow", 6))
    wide = scoring.version(make_model(scoring.folder / "wide", 6, wider()))
    core = content(scoring, wide, "model.tflite")
    changed = with_file(scoring, made, "model.tflite", core)
    revision = scoring.push_pointer(scoring.point_to_model(changed))
    shop.refuses(revision, "models.ctr", "does not fit features.json")


def test_a_model_that_gives_nan(shop: Shop) -> None:
    """A number that is none in its weights."""
    scoring = shop.scoring
    keras: Any = importlib.import_module("keras")
    tensorflow: Any = importlib.import_module("tensorflow")
    source = make_model(scoring.folder / "nan", 7)
    made = scoring.version(source)
    model = keras.models.load_model(source / "model.keras")
    weights = model.get_weights()
    weights[-2][0, 0] = float("nan")
    model.set_weights(weights)
    model.export(str(scoring.folder / "nan-saved"), verbose=False)
    converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(scoring.folder / "nan-saved"))
    changed = with_file(scoring, made, "model.tflite", converter.convert())
    revision = scoring.push_pointer(scoring.point_to_model(changed))
    shop.refuses(revision, "models.ctr", "golden row", "nan")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(cut, "bytes", id="cut"),
        pytest.param(flip, "SHA-256", id="flipped", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_model(shop: Shop, damage: Callable[[Path], None], said: str) -> None:
    """Its core in the object store is not what was published."""
    scoring = shop.scoring
    made = scoring.version(make_model(scoring.folder / f"damaged-{damage.__name__}", 8))
    (core,) = (file for file in made.files if file.path == "model.tflite")
    damage(scoring.stored(core.sha256))
    shop.refuses(scoring.push_pointer(scoring.point_to_model(made)), "models.ctr", said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"features": ["user.shoes"]}, "the table has no column 'shoes'", id="column"),
        pytest.param({"features": ["shop.name"]}, "no table is called 'shop'", id="table",
                     marks=pytest.mark.slow),
        pytest.param({"features": ["ghost"]}, "no aggregate is called 'ghost'", id="aggregate",
                     marks=pytest.mark.slow),
        pytest.param({"logic": [{"score": "ctr", "model": "cvr"}]}, "no model is called 'cvr'",
                     id="model"),
    ],
)  # fmt: skip
def test_a_flow_that_asks_for_what_is_not_there(
    shop: Shop, change: dict[str, Any], said: str
) -> None:
    """Refused by the watcher, before any worker hears of it."""
    value = shop.scoring.base | {"flows": [{**OFFER, **change, "keys": {}}]}
    revision = shop.scoring.push(value)
    shop.refuses(revision, said)
    assert not shop.scoring.job.acks(revision=revision, who="worker")


def test_a_full_disk(shop: Shop) -> None:
    """Nothing is fetched; when there is room again, the same release is taken."""
    if not shop.small:
        pytest.skip("a small disk cannot be mounted here: that needs root")
    scoring = shop.scoring
    pointer = scoring.release(9)
    filler = shop.disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(shop.disk).free - (1 << 20)))
    try:
        shop.refuses(scoring.push_pointer(pointer), "features.user", "bytes free")
    finally:
        filler.unlink()
    shop.goes_on(scoring.push_pointer(pointer))
    shop.tidy()


def test_a_model_that_fails_on_some_rows(shop: Shop) -> None:
    """A logarithm of what is negative: the step's default, with the reason, counted."""
    scoring = shop.scoring
    keras: Any = importlib.import_module("keras")
    source = make_model(scoring.folder / "log", 10)
    numbers = keras.Input((13,), name="numbers", dtype="float32")
    ids = keras.Input((2,), name="ids", dtype="int32")
    out = keras.ops.log(numbers[:, :1] - 40.0) + 0.0 * keras.ops.cast(ids[:, :1], "float32")
    keras.Model([numbers, ids], out).save(source / "model.keras")
    rng = random.Random(1)
    golden = [{**golden_row(FEATURES, rng), "user.age": rng.randrange(41, 90)} for _ in range(5)]
    (source / "golden.jsonl").write_text("\n".join(map(json.dumps, golden)), encoding="utf-8")
    before = shop.runs
    defaulted = scoring.job.counts().get("defaulted", 0)
    revision = scoring.push_pointer(scoring.point_to_model(scoring.version(source)))
    decisions = shop.goes_on(revision)
    young = [each for each in decisions if each["features"]["user.age"] <= 40]
    assert young
    assert len(young) < len(decisions)
    for each in decisions:
        bad = each in young
        assert (each["scores"]["ctr"] is None) == bad
        told = each["reason"].get("defaults", {})
        assert (told.get("score.ctr") == "NOT_FINITE") == bad
    await_until(
        lambda: scoring.job.counts()["defaulted"] >= defaulted + len(young), "counts of defaults"
    )
    # These decisions have no score to compare; the check at the end is of the others.
    back = scoring.push(scoring.base | {"models": _models_of(scoring, before)})
    shop.goes_on(back)
    _forget(scoring, decisions)


def _models_of(scoring: Scoring, revision: int) -> list[dict[str, Any]]:
    for release in scoring.job.publisher.active("millrace.json", 100):
        value = json.loads(release.text or "{}")
        if value["revision"] == revision:
            models: list[dict[str, Any]] = value["models"]
            return models
    raise AssertionError(revision)


def _forget(scoring: Scoring, decisions: list[dict[str, Any]]) -> None:
    """Leave decisions out of the last check."""
    scoring.left_out |= {each["trigger"]["event_ids"][0] for each in decisions}


def test_a_table_that_breaks_while_it_is_read(shop: Shop) -> None:
    """Bits that change on the worker's disk: defaults with the reason, counted; then a good one."""
    scoring = shop.scoring
    many = [*scoring.users, *(f"{user}-{n}" for user in scoring.users for n in range(120))]
    revision = scoring.push_pointer(scoring.release(11, many))
    shop.goes_on(revision)
    for path in (scoring.shelf() / "tables").rglob("*.sst"):
        _spoil(path)
    failed = scoring.job.counts().get("failed_reads", 0)
    decisions = shop.goes_on()
    told = [each for each in decisions
            if each["reason"].get("defaults", {}).get("user") == "READ_FAILED"]  # fmt: skip
    assert told
    assert all(each["features"]["user.age"] == 0 for each in told)
    assert all(each["scores"]["ctr"] is not None for each in told)
    await_until(lambda: scoring.job.counts()["failed_reads"] > failed, "counts of failed reads")
    _forget(scoring, told)
    shop.goes_on(scoring.push_pointer(scoring.release(12)))


def _spoil(path: Path) -> None:
    """Overwrite the data of a file where it lies."""
    size = path.stat().st_size
    if size > 50_000:  # of the large release
        with path.open("r+b") as file:
            file.write(os.urandom(size - 20_000))
