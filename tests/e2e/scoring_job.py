"""A job that reads tables and asks a model, with everything that it may read at hand."""

from __future__ import annotations

import importlib
import json
import threading
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xxhash

from configs import objects
from configs.compare_and_set import Updated, update
from configs.manifest import Ref
from configs.watch import MANIFEST
from feature_dist import manifest as tables
from feature_dist.manifest import TableManifest
from feature_dist.pointer import Blob, TablePointer
from feature_dist.pointer import read_pointers as read_tables
from feature_dist.publish.release import publish
from feature_dist.publish.rows import read_rows
from feature_dist.spec import read_spec
from feature_dist.store import DirectoryStore
from tests.e2e.running import PARTITIONS, Running, await_until
from tests.e2e.traffic import Logged
from tests.offline import (
    FEATURES,
    ITEM_SPEC,
    USER_SPEC,
    item_rows,
    make_model,
    read_parquet,
    user_rows,
    write_parquet,
)
from udfs.runtime.config_command import compile_
from udfs.runtime.publishing import Target, publish_table, publish_version
from udfs.runtime.shelf import Owned, Shelf
from udfs.scoring import artifact
from udfs.scoring.pointer import Artifact, ModelPointer
from udfs.scoring.pointer import read_pointers as read_models
from udfs.scoring.publish import publish_model

START_MS = 1_750_000_000_000
STEP_MS = 10
WINDOW_MS = 60_000
SKUS = [f"sku-{n}" for n in range(50)]
EVERY = 16
"""One event in so many is a view, and makes a decision."""

VIEWS: dict[str, Any] = {
    "aggregate": "views_1m", "event": "view", "function": "count",
    "window": {"sliding": f"{WINDOW_MS}ms"},
}  # fmt: skip
OFFER: dict[str, Any] = {
    "flow": "offer", "version": 1, "trigger": {"event": "view"},
    "features": ["views_1m", "user.city"], "keys": {"item": "props.sku"},
    "logic": [{"score": "ctr", "model": "ctr"}],
    "action": {"payload": {"score": "score.ctr", "age": "f['user.age']"}},
}  # fmt: skip


class Scoring:
    """Tables and models of a running job.

    Args:
        job: Not started yet.
        folder: For sources, objects and artifacts.
        users: Who there is.
    """

    def __init__(self, job: Running, folder: Path, users: Sequence[str]) -> None:
        self.job = job
        self.folder = folder
        self.users = users
        self.root = (folder / "objects").as_uri()
        self.target = Target(job.publisher, self.root, compile_)
        self.rows: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
        self.revisions: dict[int, tuple[dict[str, int], dict[str, int]]] = {}
        self._saved: dict[int, Any] = {}
        self.left_out: set[str] = set()
        self.base: dict[str, Any] = {}
        self.sent: list[dict[str, Any]] = []
        self._offsets = [0] * PARTITIONS

    # -- what is published ------------------------------------------------------------------

    def begin(self) -> None:
        """Publish the first release of everything, then the flow, and start the job."""
        self.publish_users(1)
        self.publish_items(1)
        self.publish_model(1)
        self.publish_flows([OFFER])
        self.base = self.current()
        self.job.start()

    def publish_users(self, seed: int, users: Sequence[str] = ()) -> int:
        """Publish a release of the users; give the revision."""
        return self._table(USER_SPEC, user_rows(users or self.users, seed))

    def publish_items(self, seed: int) -> int:
        """Publish a release of the items; give the revision."""
        return self._table(ITEM_SPEC, item_rows(SKUS, seed))

    def _table(self, spec: dict[str, Any], rows: list[dict[str, Any]]) -> int:
        source = write_parquet(self.folder / "source.parquet", spec["table"], rows)
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        made, done = publish_table(self.target, read_spec(spec), source, work)
        self.rows[made.table, made.release] = read_parquet(source, spec)
        return self.note(done)

    def release(self, seed: int, users: Sequence[str] = ()) -> TablePointer:
        """Store a release of the users that nothing points to yet."""
        source = write_parquet(self.folder / "s.parquet", "user",
                               user_rows(users or self.users, seed))  # fmt: skip
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        spec = read_spec(USER_SPEC)
        number = 1 + max(release for table, release in self.rows if table == "user")
        made = publish(spec, read_rows(spec, source, 1), DirectoryStore(self.root), work, number, 1)
        self.rows["user", number] = read_parquet(source, USER_SPEC)
        return self.point_to_table(made)

    def point_to_table(self, made: TableManifest) -> TablePointer:
        """Store a manifest; give its pointer."""
        ref = objects.ObjectStore(self.root).put(tables.encode_manifest(made))
        return TablePointer(made.table, made.release, Blob(ref.uri, ref.sha256, ref.bytes))

    def table_manifest(self, pointer: TablePointer) -> TableManifest:
        """Read the manifest of a release."""
        blob = pointer.manifest
        return tables.decode_manifest(objects.get(Ref(blob.uri, blob.sha256, blob.bytes)))

    def version(self, source: Path) -> artifact.ModelManifest:
        """Store a version of the model that nothing points to yet."""
        number = 1 + max(models["ctr"] for _, models in self.revisions.values() if models)
        work = self.folder / f"version-{source.name}"
        return publish_model(source, DirectoryStore(self.root), number, 1, work)

    def point_to_model(self, made: artifact.ModelManifest) -> ModelPointer:
        """Store a manifest; give its pointer."""
        ref = objects.ObjectStore(self.root).put(artifact.encode_manifest(made))
        return ModelPointer(made.model, made.version, Artifact(ref.uri, ref.sha256, ref.bytes))

    def stored(self, sha256: str) -> Path:
        """Where a blob lies."""
        return self.folder / "objects" / sha256[:2] / sha256

    def push_pointer(self, pointer: TablePointer | ModelPointer) -> int:
        """Publish what runs, with this pointer in place of the one of its name."""
        value = dict(self.base)
        plain = msgspec.to_builtins(pointer)
        part, key = (
            ("features", "table") if isinstance(pointer, TablePointer) else ("models", "model")
        )
        value[part] = [each for each in value[part] if each[key] != plain[key]] + [plain]
        return self.push(value)

    def publish_model(self, seed: int, source: Path | None = None) -> int:
        """Publish a version of the model; give the revision."""
        source = source or make_model(self.folder / f"model-{seed}", seed)
        _, done = publish_version(self.target, source, self.folder / f"work-{seed}")
        return self.note(done)

    def publish_flows(self, flows: list[dict[str, Any]]) -> int:
        """Publish flows beside what is there; give the revision."""

        def change(text: str | None) -> str:
            value = json.loads(text or "")
            value |= {"revision": value["revision"] + 1, "aggregates": [VIEWS], "flows": flows}
            return json.dumps(value)

        return self.note(update(self.job.publisher, MANIFEST, change))

    def note(self, done: Updated) -> int:
        """Keep what a revision points to."""
        value = json.loads(done.text)
        self.revisions[value["revision"]] = self._points(value)
        return int(value["revision"])

    def _points(self, value: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
        return (
            {each["table"]: each["release"] for each in value.get("features", [])},
            {each["model"]: each["version"] for each in value.get("models", [])},
        )

    def current(self) -> dict[str, Any]:
        """Give the manifest that is published."""
        found = self.job.publisher.current(MANIFEST)
        assert found is not None
        value: dict[str, Any] = json.loads(found.text or "")
        return value

    def push(self, value: dict[str, Any]) -> int:
        """Publish a manifest as it is, as the next revision."""
        value["revision"] = self.current()["revision"] + 1
        self.job.publish(json.dumps(value))
        self.revisions[value["revision"]] = self._points(value)
        return int(value["revision"])

    def committed(self, revision: int, timeout_s: float = 120.0) -> None:
        """Wait until a revision runs; further ones are built on it."""
        self.job.await_ack(timeout_s, status="COMMITTED", revision=revision)
        self.base = self.current()

    def refused(self, revision: int) -> str:
        """Wait until a revision is refused by a worker or the watcher; give the reasons."""

        def probe() -> list[dict[str, Any]]:
            return self.job.acks(status="NACK", revision=revision)

        acks = await_until(probe, f"NACK of revision {revision}")
        assert not self.job.acks(status="COMMITTED", revision=revision)
        return " | ".join(str(reason) for ack in acks for reason in ack["reasons"])

    # -- events -----------------------------------------------------------------------------

    def events(self, count: int) -> list[Logged]:
        """Make the next events."""
        log = []
        for _ in range(count):
            number = len(self.sent)
            user = self.users[number * 7919 % len(self.users)]
            event: dict[str, Any] = {
                "event_id": f"e{number}", "event_type": "page" if number % EVERY else "view",
                "user_id": user, "event_time": START_MS + number * STEP_MS,
                "props": {"sku": SKUS[number * 31 % 53 % len(SKUS)] if number % 5 else "unknown"},
            }  # fmt: skip
            self.sent.append(event)
            partition = zlib.crc32(user.encode()) % PARTITIONS
            log.append(Logged(user.encode(), json.dumps(event).encode(), partition,
                              self._offsets[partition]))  # fmt: skip
            self._offsets[partition] += 1
        return log

    def send(self, count: int, *, per_second: float | None = None) -> None:
        """Send the next events."""
        self.job.produce(self.events(count), per_second=per_second)

    # -- what must come of it ---------------------------------------------------------------

    def check(self, decisions: list[dict[str, Any]]) -> None:
        """Compare decisions with what was sent and published: all of them, each once."""
        views = {each["event_id"]: each for each in self.sent if each["event_type"] == "view"}
        ids = [decision["trigger"]["event_ids"][0] for decision in decisions]
        assert len(ids) == len(set(ids)), "doubled"
        assert set(ids) == set(views), f"lost {set(views) - set(ids)}"
        decisions = [d for d in decisions if d["trigger"]["event_ids"][0] not in self.left_out]
        counts = dict(self._views())
        by_model: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for decision in decisions:
            event = views[decision["trigger"]["event_ids"][0]]
            tables, models = self.revisions[decision["revision"]]
            assert decision["tables"] == tables, decision
            assert decision["models"] == models, decision
            assert decision["features"] == {
                **self._row("user", tables["user"], event["user_id"], USER_SPEC),
                **self._row("item", tables["item"], event["props"]["sku"], ITEM_SPEC),
                "views_1m": counts[event["event_id"]],
            }, decision
            by_model[models["ctr"]].append(decision)
        for version, scored in by_model.items():
            wanted = self.saved_scores(version, [each["features"] for each in scored])
            found = np.array([each["scores"]["ctr"] for each in scored])
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)

    def _row(self, table: str, release: int, key: str, spec: dict[str, Any]) -> dict[str, Any]:
        found = self.rows[table, release].get(key)
        if found is None:
            found = {f"{table}.{c['name']}": c.get("default") for c in spec["columns"]}
        read = {f["feature"] for i in FEATURES["inputs"] for f in i["features"]} | {"user.city"}
        return {name: value for name, value in found.items() if name in read}

    def _views(self) -> Iterator[tuple[str, int]]:
        recent: dict[str, deque[int]] = defaultdict(deque)
        for event in self.sent:
            if event["event_type"] == "view":
                times = recent[event["user_id"]]
                times.append(event["event_time"])
                while times[0] <= event["event_time"] - WINDOW_MS:
                    times.popleft()
                yield event["event_id"], len(times)

    def saved_scores(self, version: int, rows: Sequence[dict[str, Any]]) -> Any:
        """Score features with the SavedModel of a version."""
        tensorflow: Any = importlib.import_module("tensorflow")
        if version not in self._saved:
            directory = self.artifact(version)
            self._saved[version] = tensorflow.saved_model.load(str(directory / "saved_model"))
        tensors = {}
        for given in FEATURES["inputs"]:
            columns = []
            for feature in given["features"]:
                values = [row[feature["feature"]] for row in rows]
                if "buckets" in feature:
                    values = [
                        xxhash.xxh3_64(value.encode()).intdigest() % feature["buckets"]
                        for value in values
                    ]
                columns.append(np.array(values, dtype=given["dtype"]).reshape(len(rows), -1))
            tensors[given["name"]] = tensorflow.constant(np.concatenate(columns, axis=1))
        (found,) = self._saved[version].signatures["serving_default"](**tensors).values()
        return found.numpy()[:, 0]

    def artifact(self, version: int) -> Path:
        """Bring the artifact of a version here."""
        directory = self.folder / f"artifact-{version}"
        if not directory.exists():
            found = self.model_manifest(self._pointers(version))
            artifact.fetch(found, DirectoryStore(self.root), directory)
        return directory

    def _pointers(self, version: int) -> ModelPointer:
        for release in self.job.publisher.active(MANIFEST, 100):
            for pointer in read_models(json.loads(release.text or "{}").get("models", [])):
                if pointer.version == version:
                    return pointer
        raise AssertionError(f"version {version} was never published")

    def model_manifest(self, pointer: ModelPointer) -> artifact.ModelManifest:
        """Read the manifest of a version."""
        ref = pointer.artifact
        return artifact.decode_manifest(objects.get(Ref(ref.uri, ref.sha256, ref.bytes)))

    def pointers(self) -> tuple[list[TablePointer], list[ModelPointer]]:
        """Read the pointers that are published."""
        value = self.current()
        return read_tables(value["features"]), read_models(value["models"])

    # -- the disk of a worker ---------------------------------------------------------------

    def shelf(self) -> Path:
        """The folder of subtask 0."""
        settings = self.job.settings
        return Path(settings.local_dir) / settings.job_name / "0"

    def on_disk(self) -> set[str]:
        """Releases and versions on the disk of subtask 0, and what should not be there."""
        found = {
            f"{part}/{path.name}"
            for part in ("tables", "models")
            for path in (self.shelf() / part).glob("*")
        }
        files = (self.shelf() / "files").rglob("*")
        return found | {str(path) for path in files if path.is_file() and path.suffix != ".sst"}

    def wanted_on_disk(self, *revisions: int) -> set[str]:
        """What of some revisions should be there, with parallelism 1."""
        shelf = Shelf(self.shelf(), Owned(0, 32, 32))
        found = set()
        for release in self.job.publisher.active(MANIFEST, 100):
            value = json.loads(release.text or "{}")
            if value.get("revision") in revisions:
                found |= {
                    f"tables/{shelf.table(p).name}" for p in read_tables(value.get("features", []))
                }
                found |= {
                    f"models/{shelf.model(p).name}" for p in read_models(value.get("models", []))
                }
        return found


class Sending:
    """Sends events from a thread of its own until it is told to stop.

    Args:
        scoring: Whose events.
        per_second: Their pace.
        least: So many at least.
    """

    def __init__(self, scoring: Scoring, per_second: int, least: int) -> None:
        self._scoring = scoring
        self._per_second = per_second
        self._least = least
        self._enough = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._enough.is_set() or len(self._scoring.sent) < self._least:
                self._scoring.send(self._per_second // 2, per_second=self._per_second)
        except BaseException as error:  # noqa: BLE001 - raised again by end
            self._failed = error

    def end(self) -> int:
        """Wait for the end and give how many were sent in all."""
        self._enough.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return len(self._scoring.sent)
