"""A manifest from a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from configs import objects
from configs.assemble import assemble
from configs.manifest import resolve
from udfs.errors import ConfigInvalid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two rules and a flow."""
    (tmp_path / "rules.json").write_text('[{"rule": "a", "version": 1}, {"rule": "b"}]')
    (tmp_path / "flows.json").write_text('[{"flow": "f", "trigger": {"rule": "a"}}]')
    return tmp_path


def test_parts_become_a_manifest(folder: Path) -> None:
    """Each file is a part; what is absent is empty."""
    resolved = resolve(assemble(folder, 7), objects.get)
    assert resolved.revision == 7
    assert [rule["rule"] for rule in resolved.rules] == ["a", "b"]
    assert resolved.aggregates == []


def test_a_replacement_takes_the_place_of_its_namesake(folder: Path) -> None:
    """At the same place in the list."""
    change = folder / "change.json"
    change.write_text('{"rule": "a", "version": 2}')
    rules = json.loads(assemble(folder, 1, [change]))["rules"]
    assert rules == [{"rule": "a", "version": 2}, {"rule": "b"}]


POINTERS = {"features": [{"table": "user"}], "models": {"uri": "file:///models"}}


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({}, POINTERS),
        ({"features": "[]"}, {"features": [], "models": POINTERS["models"]}),
        ({"models": '[{"model": "ctr"}]'}, POINTERS | {"models": [{"model": "ctr"}]}),
    ],
    ids=["none", "no tables", "models"],
)
def test_pointers_stay_unless_the_folder_has_them(
    folder: Path, files: dict[str, str], kept: dict[str, Any]
) -> None:
    """In place or in a blob; other parts are the folder's alone."""
    for part, text in files.items():
        (folder / f"{part}.json").write_text(text)
    current = json.dumps({"schema": 1, "revision": 6, "aggregates": [{}], **POINTERS})
    value = json.loads(assemble(folder, 7, (), current))
    assert value.keys() == {"schema", "revision", "rules", "flows", "features", "models"}
    assert {part: value[part] for part in POINTERS} == kept
    assert value["revision"] == 7


def test_without_pointers_nothing_is_added(folder: Path) -> None:
    """Neither to what is there nor to what is not."""
    assert assemble(folder, 7, (), '{"features": []}') == assemble(folder, 7)


@pytest.mark.parametrize("current", ["[1]", "{", '{"features": 1, "features": 2}'])
def test_pointers_that_cannot_be_read_are_not_dropped(folder: Path, current: str) -> None:
    """Rather nothing is published."""
    with pytest.raises(ConfigInvalid):
        assemble(folder, 7, (), current)


@pytest.mark.parametrize("text", ['{"rule": "c"}', '{"version": 1}', "[1]", '{"rule": null}'])
def test_a_replacement_of_nothing_is_refused(folder: Path, text: str) -> None:
    """Rather than added, or ignored."""
    change = folder / "change.json"
    change.write_text(text)
    with pytest.raises(ConfigInvalid, match="replaces nothing"):
        assemble(folder, 1, [change])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """It is not what was meant."""
    with pytest.raises(ConfigInvalid, match="holds no part of a manifest"):
        assemble(tmp_path, 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{}", "not a list"), (b"[1,", "rules.json"), (b"\xff", "not UTF-8")],
    ids=["object", "broken", "latin"],
)
def test_faults_name_the_file(tmp_path: Path, content: bytes, problem: str) -> None:
    """And what is wrong with it."""
    (tmp_path / "rules.json").write_bytes(content)
    with pytest.raises(ConfigInvalid, match=problem) as caught:
        assemble(tmp_path, 1)
    assert "rules.json" in str(caught.value)
