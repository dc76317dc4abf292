"""Pointers: set, read, taken away, and all else as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import manifest, objects
from configs.objects import ObjectStore
from configs.pointers import pointer_of, with_pointer, without_pointer
from udfs.errors import ConfigInvalid

TABLES = ("features", "table")


def table(name: str, release: int = 1) -> dict[str, Any]:
    """A pointer."""
    blob = {"uri": f"file:///blobs/{name}{release}", "sha256": "0" * 64, "bytes": 2}
    return {"table": name, "release": release, "manifest": blob}


def test_the_first_pointer_makes_a_manifest() -> None:
    """Of revision 1, which the job takes."""
    text = with_pointer(None, *TABLES, table("user"))
    resolved = manifest.resolve(text, objects.get)
    assert (resolved.revision, resolved.features) == (1, [table("user")])


def test_a_pointer_takes_the_place_of_its_namesake() -> None:
    """At the same place in the list; another name is appended; each is a revision."""
    text = None
    for pointer in (table("a"), table("b"), table("a", 2)):
        text = with_pointer(text, *TABLES, pointer)
    assert text is not None
    assert json.loads(text) == {
        "schema": 1,
        "revision": 3,
        "features": [table("a", 2), table("b")],
    }
    assert pointer_of(text, *TABLES, "a") == table("a", 2)


def test_all_else_stays_as_it_is() -> None:
    """Other parts, their order, characters beyond ASCII, references."""
    ref = {"uri": "file:///rules", "sha256": "0" * 64, "bytes": 2}
    flows = [{"flow": "größe", "within": 1.5}]
    value = {"flows": flows, "schema": 1, "rules": ref, "revision": 7, "activate_at": None}
    before = json.dumps(value, ensure_ascii=False, indent=1)
    after = with_pointer(before, "models", "model", {"model": "ctr", "version": 1})
    assert list(json.loads(after)) == [*value, "models"]
    assert without_pointer(after, "models", "model", "ctr") == json.dumps(
        value | {"revision": 9, "models": []}, ensure_ascii=False, indent=1
    )


def test_a_part_in_a_blob_is_read_and_written_in_place(tmp_path: Path) -> None:
    """Without a reader it is refused, with the cure."""
    ref = ObjectStore(tmp_path.as_uri()).put(json.dumps([table("a")]).encode())
    part = {"uri": ref.uri, "sha256": ref.sha256, "bytes": ref.bytes}
    text = json.dumps({"schema": 1, "revision": 1, "features": part})
    after = json.loads(with_pointer(text, *TABLES, table("b"), objects.get))
    assert after["features"] == [table("a"), table("b")]
    assert pointer_of(text, *TABLES, "a", objects.get) == table("a")
    assert json.loads(without_pointer(text, *TABLES, "a", objects.get))["features"] == []
    with pytest.raises(ConfigInvalid, match=r"features: a reference to file:.* in place"):
        with_pointer(text, *TABLES, table("b"))
    (tmp_path / ref.sha256[:2] / ref.sha256).unlink()
    with pytest.raises(ConfigInvalid, match="features: absent blob"):
        with_pointer(text, *TABLES, table("b"), objects.get)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "a list, not an object"),
        ("{}", "schema: missing.*; revision: missing"),
        ('{"schema": 1, "revision": 1, "features": 3}', "neither a list nor"),
        ('{"schema": 1, "revision": 1, "revision": 2}', "the key stands twice"),
    ],
    ids=["broken", "list", "empty", "number", "twice"],
)
def test_what_is_no_manifest_is_not_changed(text: str, problem: str) -> None:
    """All its faults are said."""
    with pytest.raises(ConfigInvalid, match=problem):
        with_pointer(text, *TABLES, table("user"))
    with pytest.raises(ConfigInvalid, match=problem):
        pointer_of(text, *TABLES, "user")


@pytest.mark.parametrize("text", [None, with_pointer(None, *TABLES, table("user"))])
def test_a_pointer_that_is_not_there_is_none_and_cannot_be_taken_away(text: str | None) -> None:
    """The fault names those that are there."""
    assert pointer_of(text, *TABLES, "usr") is None
    there = "user" if text else "none"
    with pytest.raises(ConfigInvalid, match=f"no table 'usr' .*that are there: {there}"):
        without_pointer(text, *TABLES, "usr")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12))
def test_it_is_a_dictionary_in_a_list(changes: list[tuple[str, int]]) -> None:
    """Whatever the order; release 0 stands for taking away."""
    model: dict[str, dict[str, Any]] = {}
    text = with_pointer(None, *TABLES, table("z"))
    for name, release in changes:
        if release:
            model[name] = table(name, release)
            text = with_pointer(text, *TABLES, model[name])
        elif name in model:
            del model[name]
            text = without_pointer(text, *TABLES, name)
    assert json.loads(text)["features"] == [table("z"), *model.values()]
    assert [pointer_of(text, *TABLES, name) for name in "abc"] == [
        model.get(name) for name in "abc"
    ]
