"""``millrace config`` against a live server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from configs.cli import app, make_app
from configs.compare_and_set import update
from configs.kill import Kill, parse_kill
from configs.manifest import Ref, Resolved
from configs.objects import ObjectStore, get
from configs.pack import pack
from configs.pointers import with_pointer
from configs.publish import Publisher
from configs.watch import MANIFEST
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, MillraceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.configs.conftest import LiveServer


def call(*words: str, application: Any = app) -> str:
    """Run a command; gives what it printed, or raises what it raised."""
    result = CliRunner().invoke(application, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_manifest_is_checked_published_and_shown(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """A wrong one only with ``--force``."""
    at = ("--server", start_server().url)
    with pytest.raises(ConfigUnavailable, match="nothing is published"):
        call("show", *at)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"schema": 1, "revision": 2, "rules": [{}, {}]}')
    bad.write_text('{"schema": 1, "revision": 3, "rulez": []}')
    assert "revision 2 is right: 2 rules; digest" in call("check", str(good))
    assert "release" in call("publish", str(good), "--comment", "first", *at)
    with pytest.raises(ConfigInvalid, match="rulez"):
        call("publish", str(bad), *at)
    assert call("show", *at).strip() == good.read_text()
    call("publish", str(bad), "--force", *at)
    assert call("show", *at).strip() == bad.read_text()


def test_a_folder_is_published_as_the_next_revision(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """One of its rules can be replaced on the way; the folder stays as it is."""
    at = ("--server", start_server().url)
    rules, change = tmp_path / "rules.json", tmp_path / "change.json"
    rules.write_text('[{"rule": "a", "version": 1}]')
    change.write_text('{"rule": "a", "version": 2}')
    assert "revision 1," in call("publish", str(tmp_path), *at)
    assert "revision 2," in call("publish", str(tmp_path), "--replace", str(change), *at)
    published = json.loads(call("show", *at))
    assert (published["revision"], published["rules"][0]["version"]) == (2, 2)
    with pytest.raises(MillraceError, match="goes with a folder"):
        call("publish", str(rules), "--replace", str(change), *at)
    call("publish", str(change), "--force", *at)
    with pytest.raises(MillraceError, match="no manifest"):
        call("publish", str(tmp_path), *at)


def test_a_folder_leaves_pointers_and_a_text_replaces_them(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """Also those that are published while the folder is being checked."""
    at = ("--server", start_server().url)
    publisher = Publisher(at[1], "millrace")
    (tmp_path / "rules.json").write_text('[{"rule": "a"}]')
    user, ctr = {"table": "user", "release": 3}, {"model": "ctr", "version": 2}

    def point(part: str, key: str, pointer: dict[str, Any]) -> None:
        update(publisher, MANIFEST, lambda text: with_pointer(text, part, key, pointer))

    def late(resolved: Resolved) -> list[Fault]:
        if not resolved.models:
            point("models", "model", ctr)
        return []

    point("features", "table", user)
    said = call("publish", str(tmp_path), *at, application=make_app(late))
    assert "revision 3," in said
    value = json.loads(call("show", *at))
    assert (value["features"], value["models"]) == ([user], [ctr])
    assert value["rules"] == [{"rule": "a"}]
    (tmp_path / "features.json").write_text("[]")
    call("publish", str(tmp_path), *at)
    assert json.loads(call("show", *at))["features"] == []
    text = tmp_path / "whole.json"
    text.write_text('{"schema": 1, "revision": 9}')
    call("publish", str(text), *at)
    assert "models" not in json.loads(call("show", *at))


def test_a_folder_with_faults_is_not_published(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """Long parts move into blobs also after pointers have joined them."""
    url = start_server().url
    (tmp_path / "rules.json").write_text(json.dumps([{"rule": "a" * 30_000}]))
    bad = make_app(lambda _: [Fault("rules[0]", "no")])
    with pytest.raises(ConfigInvalid, match=r"rules\[0\]: no"):
        call("publish", str(tmp_path), "--server", url, application=bad)
    assert Publisher(url, "millrace").current(MANIFEST) is None
    with pytest.raises(ConfigInvalid, match="move large parts into blobs"):
        call("publish", str(tmp_path), "--server", url)
    blobs = (tmp_path / "blobs").as_uri()
    assert "revision 1," in call("publish", str(tmp_path), "--server", url, "--objects", blobs)


def test_check_compiles_if_there_is_a_compiler(tmp_path: Path) -> None:
    """Its faults are those of the check."""
    file = tmp_path / "m.json"
    file.write_text('{"schema": 1, "revision": 2}')
    with pytest.raises(ConfigInvalid, match=r"rules\[0\]: no"):
        call("check", str(file), application=make_app(lambda _: [Fault("rules[0]", "no")]))


def test_kill_adds_to_what_is_stopped(start_server: Callable[..., LiveServer]) -> None:
    """Nothing that is stopped starts again by stopping something else."""
    at = ("--server", start_server().url)

    def now() -> Kill:
        return parse_kill(call("show", "--namespace", "millrace.kill.json", *at))

    call("kill", "--flow", "a", *at)
    call("kill", "--flow", "b", "--rule", "r", *at)
    assert now() == Kill(frozenset("ab"), frozenset("r"))
    assert "nothing changes" in call("kill", "--flow", "b", *at)
    call("kill", "--all", *at)
    assert now().all
    call("kill", "--none", "--flow", "b", *at)
    assert now() == Kill(frozenset("b"))
    call("kill", "--none", *at)
    assert now() == Kill()


def test_a_published_switch_that_is_wrong_is_not_added_to(
    start_server: Callable[..., LiveServer],
) -> None:
    """It may stop something we cannot read."""
    server = start_server()
    Publisher(server.url, "millrace").publish("millrace.kill.json", "{")
    with pytest.raises(MillraceError, match="--none"):
        call("kill", "--flow", "a", "--server", server.url)
    call("kill", "--none", "--server", server.url)


def test_parts_too_long_for_a_namespace_move_into_blobs(tmp_path: Path) -> None:
    """The largest first, only as many as needed; what it means stays the same."""
    store = ObjectStore(tmp_path.as_uri())
    value = {
        "schema": 1,
        "revision": 1,
        "rules": [{"n": "r" * 30_000}],
        "flows": [{"n": "f" * 100}],
    }
    text = json.dumps(value)
    packed = pack(text, store)
    assert json.loads(packed)["flows"] == value["flows"]
    assert json.loads(get_rules(packed)) == value["rules"]
    assert pack(packed, store) == packed


def get_rules(packed: str) -> bytes:
    """The blob of the rules."""
    return get(Ref(**json.loads(packed)["rules"]))


@pytest.mark.parametrize("damage", [b"", b"other bytes"])
def test_a_damaged_blob_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    """And one that is right is left as it is."""
    store = ObjectStore(tmp_path.as_uri())
    ref = store.put(b"content")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = path.stat().st_mtime_ns
    store.put(b"content")
    assert path.stat().st_mtime_ns == before
    path.write_bytes(damage)
    assert store.put(b"content") == ref
    assert store.get(ref) == b"content"


def test_blobs_have_a_size_limit(tmp_path: Path) -> None:
    """Neither written nor read."""
    small = ObjectStore(tmp_path.as_uri(), max_bytes=3)
    with pytest.raises(ConfigInvalid, match="4 bytes, more than the 3 allowed"):
        small.put(b"1234")
    ref = ObjectStore(tmp_path.as_uri()).put(b"1234")
    with pytest.raises(ConfigInvalid, match="4 bytes, more than the 3 allowed"):
        small.get(ref)


def test_a_store_that_cannot_be_is_said(tmp_path: Path) -> None:
    """A setting is refused at once, a directory that cannot be written later."""
    with pytest.raises(MillraceError, match="file:///absolute/path"):
        ObjectStore("s3://bucket")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigUnavailable, match="cannot be written"):
        ObjectStore((tmp_path / "file").as_uri()).put(b"")
