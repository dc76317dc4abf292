"""Pointers to models in the config manifest."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.udfs.scoring.models import FEATURES, Published
from udfs.errors import ConfigInvalid, ModelInvalid
from udfs.scoring.pointer import Artifact, ModelPointer, read_pointers

POINTER: dict[str, Any] = {
    "model": "ctr_small",
    "version": 2,
    "artifact": {"uri": "file:///srv/ab/abcd", "sha256": "ab" * 32, "bytes": 123},
}


def test_pointers_are_read_and_written_again() -> None:
    """Resolved or not."""
    resolved = POINTER | {"model": "other", "inputs": FEATURES["inputs"], "outputs": 1}
    first, second = read_pointers([POINTER, resolved])
    artifact = Artifact("file:///srv/ab/abcd", "ab" * 32, 123)
    assert first == ModelPointer("ctr_small", 2, artifact)
    assert second.inputs == FEATURES["inputs"]
    assert [first.plain(), second.plain()] == [POINTER, resolved]
    assert json.loads(msgspec.json.encode(first)) == POINTER
    assert read_pointers([]) == []


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"colour": 1}, "models[0]", "colour"),
        ({"model": None}, "models[0].model", "string"),
        ({"model": "a b"}, "models[0].model", "does not match"),
        ({"version": "2"}, "models[0].version", "integer"),
        ({"version": 0}, "models[0].version", "minimum"),
        ({"artifact": {}}, "models[0].artifact", "uri"),
        ({"artifact": "file:///x"}, "models[0].artifact", "object"),
        ({"artifact": POINTER["artifact"] | {"sha256": "../x"}}, "models[0].artifact.sha256", ""),
        ({"artifact": POINTER["artifact"] | {"etag": "x"}}, "models[0].artifact", "etag"),
        ({"outputs": 0}, "models[0].outputs", "minimum"),
        ({"inputs": {}}, "models[0].inputs", "array"),
        ({"inputs": []}, "models[0].inputs", "non-empty"),
        ({"inputs": [{"name": "x"}]}, "models[0].inputs[0]", "required"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_faults_name_their_place(changes: dict[str, Any], where: str, words: str) -> None:
    """JSON path and problem."""
    with pytest.raises(ConfigInvalid) as caught:
        read_pointers([POINTER | changes])
    fault = caught.value.faults[0]
    assert fault.where == where
    assert words in str(fault)


def test_all_faults_are_told_at_once() -> None:
    """Of every pointer; the same model twice is one."""
    with pytest.raises(ConfigInvalid) as caught:
        read_pointers([POINTER, POINTER | {"version": 0}, POINTER | {"version": 3}, 7], "m")
    places = [fault.where for fault in caught.value.faults]
    assert places == ["m[1].version", "m[2].model", "m[3]"]
    assert "'ctr_small' stands at m[0] already" in str(caught.value)


def test_a_pointer_takes_over_what_its_artifact_says(published: Published) -> None:
    """Of that model and version alone."""
    pointer = msgspec.structs.replace(read_pointers([POINTER])[0], version=1)
    found = pointer.resolved(published.manifest)
    assert (found.inputs, found.outputs) == (FEATURES["inputs"], 1)
    assert read_pointers([found.plain()]) == [found]
    with pytest.raises(ModelInvalid, match=r"abcd is ctr_small@1, the pointer says ctr_small@2"):
        read_pointers([POINTER])[0].resolved(published.manifest)
