"""Tables and models brought to a worker's disk, whole or not at all, and opened there."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from configs import objects
from configs.manifest import Ref, Resolved
from feature_dist.manifest import TableManifest, decode_manifest, encode_manifest
from feature_dist.pointer import Blob, TablePointer
from feature_dist.publish.release import publish
from feature_dist.publish.rows import read_rows
from feature_dist.spec import read_spec
from feature_dist.store import DirectoryStore
from tests.offline import (
    ITEM_SPEC,
    USER_SPEC,
    item_rows,
    make_model,
    user_rows,
    write_parquet,
)
from udfs.errors import LoadFailed
from udfs.runtime.load_process import perform
from udfs.runtime.loader import ProcessLoader
from udfs.runtime.pointers import complete
from udfs.runtime.shelf import Owned, Shelf
from udfs.runtime.shipped import DIGEST
from udfs.runtime.switching import COMMITTED, Switching
from udfs.runtime.warehouse import NOTHING, Needs, Warehouse
from udfs.scoring import artifact
from udfs.scoring.pointer import Artifact, ModelPointer
from udfs.scoring.publish import publish_model

USERS = [f"u{n}" for n in range(300)]
SKUS = [f"s{n}" for n in range(20)]

FLOW: dict[str, Any] = {
    "flow": "offer", "version": 1, "trigger": {"event": "view"}, "keys": {"item": "props.sku"},
    "logic": [{"score": "ctr", "model": "ctr"}], "action": {"payload": {"score": "score.ctr"}},
}  # fmt: skip
VIEWS: dict[str, Any] = {
    "aggregate": "views_1m", "event": "view", "function": "count", "window": {"sliding": "1m"},
}  # fmt: skip


class Objects:
    """An object store with releases and versions in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = (folder / "objects").as_uri()
        self.store = DirectoryStore(self.root)
        self.blobs = objects.ObjectStore(self.root)

    def path(self, sha256: str) -> Path:
        """Where a blob lies."""
        return self.folder / "objects" / sha256[:2] / sha256

    def table(self, spec: dict[str, Any], rows: list[dict[str, Any]], release: int) -> TablePointer:
        """Publish a release."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        source = write_parquet(self.folder / f"{spec['table']}.parquet", spec["table"], rows)
        read = read_spec(spec)
        made = publish(read, read_rows(read, source, 1_000), self.store, work, release, 1_000)
        return self.point(made)

    def point(self, manifest: TableManifest) -> TablePointer:
        """Store a table's manifest; give its pointer."""
        ref = self.blobs.put(encode_manifest(manifest))
        return TablePointer(manifest.table, manifest.release, Blob(ref.uri, ref.sha256, ref.bytes))

    def manifest(self, pointer: TablePointer) -> TableManifest:
        """Read a table's manifest."""
        blob = pointer.manifest
        return decode_manifest(objects.get(Ref(blob.uri, blob.sha256, blob.bytes)))

    def model(self, version: int, seed: int) -> ModelPointer:
        """Publish a version."""
        source = make_model(self.folder / f"model{seed}", seed)
        work = self.folder / f"model-work{seed}"
        made = publish_model(source, self.store, version, 1_000, work)
        ref = self.blobs.put(artifact.encode_manifest(made))
        return ModelPointer("ctr", version, Artifact(ref.uri, ref.sha256, ref.bytes))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two releases of users, one of items, two versions of a model; not to be changed."""
    made = Objects(tmp_path_factory.mktemp("published"))
    return {
        "folder": made.folder,
        "users": [made.table(USER_SPEC, user_rows(USERS, seed), seed) for seed in (1, 2)],
        "items": made.table(ITEM_SPEC, item_rows(SKUS, 1), 1),
        "models": [made.model(version, version) for version in (1, 2)],
    }


@pytest.fixture
def there(published: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A copy of them, to be damaged: the pointers lead into the copy."""
    shutil.copytree(published["folder"] / "objects", tmp_path / "objects")
    text = msgspec.json.encode({k: v for k, v in published.items() if k != "folder"}).decode()
    moved = json.loads(text.replace(published["folder"].as_uri(), tmp_path.as_uri()))
    return {
        "objects": Objects(tmp_path),
        "users": [msgspec.convert(each, TablePointer) for each in moved["users"]],
        "items": msgspec.convert(moved["items"], TablePointer),
        "models": [msgspec.convert(each, ModelPointer) for each in moved["models"]],
    }


OWNED = Owned(0, 16, 32)


def warehouse(tmp_path: Path, owned: Owned = OWNED) -> Warehouse:
    """A subtask's."""
    return Warehouse(Shelf(tmp_path / "local" / "job" / "0", owned), "litert", DIGEST)


def files(tmp_path: Path) -> set[str]:
    """All that lies on the disk of the subtask."""
    root = tmp_path / "local"
    while True:
        try:
            return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        except FileNotFoundError:  # another process removes a folder at this very moment
            continue


def test_what_is_loaded_is_opened_and_read(there: dict[str, Any], tmp_path: Path) -> None:
    """Own shards alone of a table by user, all of a replicated one; the model scores."""
    needs = Needs((there["users"][0], there["items"]), (there["models"][0],))
    store = warehouse(tmp_path)
    assert store.missing(needs) == needs
    assert not perform(store.task(needs, ()))
    found = store.open(needs)
    assert store.missing(needs) == NOTHING
    manifest = there["objects"].manifest(there["users"][0])
    held = sum(file.rows for file in manifest.files if file.partition < 16)
    assert 0 < held < manifest.rows
    rows = found.tables["item"].get([sku.encode() for sku in SKUS])
    assert None not in rows
    assert found.models["ctr"].version == 1
    assert isinstance(found.models["ctr"].score([{}])[0], float)
    store.keep(())


def test_a_process_does_it_too(there: dict[str, Any], tmp_path: Path) -> None:
    """And what is there already is taken as it is, after a look."""
    needs = Needs((there["users"][0],), (there["models"][0],))
    store, loader = warehouse(tmp_path), ProcessLoader()
    assert loader.run(store.task(needs, ())).faults == ()
    before = files(tmp_path)
    assert before
    loader.start(store.task(needs, ()))
    result = None
    while result is None:
        result = loader.poll()
        time.sleep(0.02)
    assert result.faults == ()
    assert loader.poll() is None
    assert files(tmp_path) == before


def test_only_what_is_in_use_stays(there: dict[str, Any], tmp_path: Path) -> None:
    """Releases that nothing needs go, with the files that are theirs alone."""
    one, two = (Needs((users,), (model,)) for users, model in
                zip(there["users"], there["models"], strict=True))  # fmt: skip
    store = warehouse(tmp_path)
    assert not perform(store.task(one, ()))
    alone = files(tmp_path)
    assert not perform(store.task(two, (one,)))
    assert files(tmp_path) > alone
    assert store.left_over((one,))
    assert not perform(store.task(NOTHING, (one,)))
    assert files(tmp_path) == alone
    assert not store.left_over((one,))


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Take the last byte away."""
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "said"),
    [(flip, "SHA-256"), (cut, "the manifest says"), (Path.unlink, "No such file")],
    ids=["flipped", "cut", "missing"],
)
@pytest.mark.parametrize("kind", ["table", "model"])
def test_damaged_files_are_refused(
    there: dict[str, Any], tmp_path: Path, kind: str, damage: Callable[[Path], None], said: str
) -> None:
    """Named, and nothing of it stays."""
    if kind == "table":
        manifest = there["objects"].manifest(there["users"][0])
        first = next(file for file in manifest.files if file.partition < 16)
        damage(there["objects"].path(first.sha256))
    else:
        ref = there["models"][0].artifact
        blob = objects.get(Ref(ref.uri, ref.sha256, ref.bytes))
        (lite,) = (f for f in artifact.decode_manifest(blob).files if f.path.endswith("tflite"))
        damage(there["objects"].path(lite.sha256))
    (fault,) = perform(
        warehouse(tmp_path).task(Needs((there["users"][0],), (there["models"][0],)), ())
    )
    assert fault.where == ("features.user" if kind == "table" else "models.ctr")
    assert said in fault.problem or (kind == "model" and "not" in fault.problem)
    assert not files(tmp_path)


def test_files_of_another_table_are_refused(there: dict[str, Any], tmp_path: Path) -> None:
    """Whole, with the right hash: but not the rows that the manifest proves."""
    made = there["objects"]
    one, two = (made.manifest(each) for each in there["users"])
    mixed = tuple(
        msgspec.structs.replace(mine, sha256=other.sha256, bytes=other.bytes)
        for mine, other in zip(one.files, two.files, strict=True)
    )
    pointer = made.point(msgspec.structs.replace(one, release=9, files=mixed))
    (fault,) = perform(warehouse(tmp_path).task(Needs((pointer,)), ()))
    assert "the manifest says" in fault.problem
    assert not files(tmp_path)


def test_a_full_disk_is_told(
    there: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    (tmp_path / "local" / "job" / "0").mkdir(parents=True)
    (fault,) = perform(warehouse(tmp_path).task(Needs((there["users"][0],)), ()))
    assert "has 1000 bytes free" in fault.problem
    assert not files(tmp_path)


class Worker:
    """A subtask with its broadcast state."""

    def __init__(self, tmp_path: Path, shipped: Resolved, state: dict[str, bytes]) -> None:
        self.state = state
        self.switching = Switching(
            shipped, "job", 0, {"decisions"}, "acks", warehouse(tmp_path), ProcessLoader()
        )
        self.switching.restore(state.get)

    def hear(self, **message: Any) -> list[dict[str, Any]]:
        """Take a message and give the acknowledgements."""
        records = self.switching.take(json.dumps(message), self.state.__setitem__, 77)
        return [json.loads(record.value) for record in records]

    def prepare(self, resolved: Resolved) -> dict[str, Any]:
        """Prepare, ask until there is an answer, and give it."""
        payload = base64.b64encode(resolved.dump()).decode()
        told = self.hear(
            type="prepare", revision=resolved.revision, prepare_id="p", payload=payload
        )
        while not told:
            time.sleep(0.02)
            told = self.hear(type="poll")
        (ack,) = told
        return ack


def revision(there: dict[str, Any], number: int, which: int = 0) -> Resolved:
    """A manifest with a flow that needs everything."""
    parts = {
        "aggregates": [VIEWS], "flows": [FLOW],
        "features": [msgspec.to_builtins(there["users"][which]),
                     msgspec.to_builtins(there["items"])],
        "models": [there["models"][which].plain()],
    }  # fmt: skip
    return complete(Resolved.of(number, **parts), objects.get)


def _refuse_to_load(_loader: ProcessLoader, task: object) -> None:
    raise AssertionError(f"{task} is loaded")


def test_a_revision_is_ready_when_everything_is_there(
    there: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream goes on with what it has meanwhile; the one before stays for the way back."""
    worker = Worker(tmp_path, revision(there, 1), {})
    switching = worker.switching
    assert switching.program.resources.tables["user"].release == 1
    ack = worker.prepare(revision(there, 2, 1))
    assert ack["status"] == "READY", ack
    assert switching.program.resources.tables["user"].release == 1
    worker.hear(type="commit", revision=2, prepare_id="p")
    assert switching.program.resources.tables["user"].release == 2
    assert switching.program.resources.models["ctr"].version == 2
    # Back: nothing is to be loaded.
    with monkeypatch.context() as patched:
        patched.setattr(ProcessLoader, "start", _refuse_to_load)
        ack = worker.prepare(revision(there, 3, 0))
    assert ack["status"] == "READY"
    worker.hear(type="commit", revision=3, prepare_id="p")
    assert switching.program.resources.tables["user"].release == 1
    switching.close()
    again = Worker(tmp_path, revision(there, 1), {COMMITTED: worker.state[COMMITTED]})
    assert again.switching.program.resources.tables["user"].release == 1
    again.switching.close()


def test_a_revision_that_cannot_be_loaded_is_refused(there: dict[str, Any], tmp_path: Path) -> None:
    """NACK with the reason; what runs goes on, and nothing is left over."""
    worker = Worker(tmp_path, revision(there, 1), {})
    bad = revision(there, 2, 1)
    before = files(tmp_path)
    manifest = there["objects"].manifest(there["users"][1])
    flip(there["objects"].path(next(f for f in manifest.files if f.partition < 16).sha256))
    ack = worker.prepare(bad)
    assert ack["status"] == "NACK"
    assert "SHA-256" in ack["reasons"][0]["problem"]
    assert worker.switching.program.resources.tables["user"].release == 1
    assert files(tmp_path) == before
    worker.switching.close()


def test_an_abort_ends_what_is_being_loaded(there: dict[str, Any], tmp_path: Path) -> None:
    """And removes what it had brought."""
    worker = Worker(tmp_path, revision(there, 1), {})
    before = files(tmp_path)
    payload = base64.b64encode(revision(there, 2, 1).dump()).decode()
    assert not worker.hear(type="prepare", revision=2, prepare_id="p", payload=payload)
    worker.hear(type="abort", revision=2, prepare_id="p")
    assert not worker.hear(type="poll")
    assert worker.prepare(revision(there, 3, 1))["status"] == "READY"
    worker.hear(type="abort", revision=3, prepare_id="p")
    deadline_s = time.monotonic() + 60
    while files(tmp_path) != before:
        assert time.monotonic() < deadline_s, files(tmp_path) - before
        time.sleep(0.05)
    worker.switching.close()


def test_a_worker_that_cannot_load_does_not_start(there: dict[str, Any], tmp_path: Path) -> None:
    """It would decide wrongly; the error says why."""
    shutil.rmtree(tmp_path / "objects")
    with pytest.raises(LoadFailed, match=r"features\.user.*is not there"):
        Worker(tmp_path, revision_of_copy(there), {})


def revision_of_copy(there: dict[str, Any]) -> Resolved:
    """A manifest completed by hand: its blobs are gone."""
    users = msgspec.structs.replace(
        there["users"][0], distribution="by_user", partitions=32, columns=()
    )
    return Resolved.of(1, features=[msgspec.to_builtins(users)])
