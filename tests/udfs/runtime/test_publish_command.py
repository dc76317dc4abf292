"""``millrace table`` and ``millrace model`` against a live config server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.compare_and_set import update
from configs.pointers import pointer_of
from configs.publish import Publisher
from configs.watch import MANIFEST
from feature_dist.spec import read_spec
from tests.configs.conftest import LiveServer
from tests.offline import USER_SPEC, make_model, user_rows, write_parquet
from udfs.errors import ConfigInvalid, ConfigUnavailable, MillraceError, TableInvalid
from udfs.runtime.config_command import compile_
from udfs.runtime.publish_command import model_app, table_app
from udfs.runtime.publishing import Target, publish_table

USERS = [f"u{n}" for n in range(200)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """A config server on a free port."""
    started = LiveServer(tmp_path / "releases")
    yield started
    started.stop()


class Shell:
    """Runs commands against a server and an object store."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.publisher = Publisher(server.url, "millrace")
        self.server = ("--server", server.url)
        self.objects = ("--objects", (folder / "objects").as_uri())
        self.spec = folder / "user.json"
        self.spec.write_text(json.dumps(USER_SPEC), encoding="utf-8")

    def run(self, application: Any, *words: str) -> str:
        """Run a command; gives what it printed, or raises what it raised."""
        result = CliRunner().invoke(application, [*words, *self.server])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    def publish(self, parquet: Path, *more: str) -> str:
        """Publish the table."""
        words = ("publish", str(self.spec), str(parquet), *self.objects, *more)
        return self.run(table_app, *words)

    def text(self) -> str:
        """What is published."""
        found = self.publisher.current(MANIFEST)
        assert found is not None
        return found.text or ""


@pytest.fixture
def shell(server: LiveServer, tmp_path: Path) -> Shell:
    """Commands of one test."""
    return Shell(server, tmp_path)


def test_a_table_is_published_again_and_again(shell: Shell, tmp_path: Path) -> None:
    """Releases rise, revisions rise, and a row can be looked at."""
    for release in (1, 2):
        rows = user_rows(USERS, release)
        said = shell.publish(write_parquet(tmp_path / "u.parquet", "user", rows))
        assert said.startswith(f"user@{release}: {len(rows)} rows in ")
        value = json.loads(shell.text())
        assert value["revision"] == release
        (pointer,) = value["features"]
        assert (pointer["table"], pointer["release"]) == ("user", release)
        row = json.loads(shell.run(table_app, "get", "user", rows[0]["user_id"]))
        assert row["visits"] == (rows[0]["visits"] or 0)
        assert row["city"] == (rows[0]["city"] or "")
    with pytest.raises(MillraceError, match="no row of the key 'nobody'"):
        shell.run(table_app, "get", "user", "nobody")
    with pytest.raises(ConfigUnavailable, match="points to no table 'shop'"):
        shell.run(table_app, "get", "shop", "x")


def test_a_release_that_breaks_a_flow_is_not_announced(shell: Shell, tmp_path: Path) -> None:
    """Unless one insists; what was stored is harmless."""
    source = write_parquet(tmp_path / "u.parquet", "user", user_rows(USERS, 1))
    shell.publish(source)
    flow = {"flow": "f", "version": 1, "trigger": {"event": "x"}, "features": ["user.age"],
            "action": {"payload": {"age": "f['user.age']"}}}  # fmt: skip

    def add(text: str | None) -> str:
        value = json.loads(text or "")
        return json.dumps(value | {"revision": value["revision"] + 1, "flows": [flow]})

    update(shell.publisher, MANIFEST, add)
    before = shell.text()
    columns = [column for column in USER_SPEC["columns"] if column["name"] != "age"]
    shell.spec.write_text(json.dumps({**USER_SPEC, "columns": columns}), encoding="utf-8")
    with pytest.raises(ConfigInvalid, match="no column 'age'"):
        shell.publish(source)
    assert shell.text() == before
    assert "user@2" in shell.publish(source, "--force")


def test_faults_publish_nothing(shell: Shell, tmp_path: Path) -> None:
    """Of the spec, of the data."""
    rows = user_rows(USERS, 1)
    source = write_parquet(tmp_path / "u.parquet", "user", [*rows, rows[0]])
    with pytest.raises(TableInvalid, match="is there twice"):
        shell.publish(source)
    shell.spec.write_text(json.dumps({**USER_SPEC, "table": "Users", "colour": 1}))
    with pytest.raises(ConfigInvalid) as told:
        shell.publish(source)
    assert len(told.value.faults) == 2
    result = CliRunner().invoke(table_app, ["check", str(shell.spec)])
    assert isinstance(result.exception, ConfigInvalid)
    assert shell.publisher.current(MANIFEST) is None


def test_publishers_do_not_overwrite_each_other(shell: Shell, tmp_path: Path) -> None:
    """Four tables at once, two releases each: all pointers are there in the end."""
    wrong: list[BaseException] = []

    def publish(name: str) -> None:
        spec = read_spec({**USER_SPEC, "table": name})
        source = write_parquet(tmp_path / name / "u.parquet", "user", user_rows(USERS[:20], 1))
        publisher = Publisher(shell.server[1], "millrace")
        try:
            for _ in range(2):
                target = Target(publisher, shell.objects[1], compile_)
                publish_table(target, spec, source, tmp_path / name)
        except BaseException as error:  # noqa: BLE001 - raised again below
            wrong.append(error)

    threads = [threading.Thread(target=publish, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    for n in range(4):
        pointer = pointer_of(shell.text(), "features", "table", f"t{n}")
        assert pointer is not None
        assert pointer["release"] == 2


def test_a_model_is_published_again_and_again(shell: Shell, tmp_path: Path) -> None:
    """Versions rise; the pointer names the artifact."""
    for version in (1, 2):
        source = make_model(tmp_path / f"m{version}", version)
        said = shell.run(model_app, "publish", str(source), *shell.objects)
        assert said.startswith(f"ctr@{version}: litert, savedmodel, ")
        pointer = pointer_of(shell.text(), "models", "model", "ctr")
        assert pointer is not None
        assert pointer["version"] == version
