"""Pointers to tables in a config manifest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from feature_dist.manifest import FORMAT, TableManifest, encode_manifest
from feature_dist.pointer import read_pointers
from feature_dist.schema import Column
from udfs.errors import ConfigInvalid

MANIFEST = TableManifest(
    format=FORMAT, table="user", release=3, created_ms=1, distribution="by_user", partitions=8,
    rows=0, columns=(Column("age", "int32", 0),), files=(),
)  # fmt: skip


def pointer(**changes: Any) -> dict[str, Any]:
    """A sound one, changed."""
    blob = {"uri": "file:///srv/x", "sha256": "0" * 64, "bytes": 10}
    return {"table": "user", "release": 3, "manifest": blob, **changes}


def test_a_pointer_is_completed_and_comes_back() -> None:
    """With the layout; and what is complete is read again."""
    [read] = read_pointers([pointer()])
    done = read.completed(encode_manifest(MANIFEST))
    assert done.columns == MANIFEST.columns
    assert done.partitions == 8
    assert read_pointers([msgspec.to_builtins(done)]) == [done]


@pytest.mark.parametrize(
    ("items", "where", "said"),
    [
        ([pointer(colour=1)], "features[0]", "colour"),
        ([pointer(), pointer()], "features[1].table", "there twice"),
        ([pointer(), pointer(table=1)], "features[1]", "Expected `str`"),
        ([pointer(release=0)], "features[0]", "begin with 1"),
        ([pointer(manifest={"uri": "", "sha256": "X", "bytes": 1})], "features[0]", "SHA-256"),
    ],
)
def test_what_is_no_pointer(items: list[Any], where: str, said: str) -> None:
    """Each with its place."""
    with pytest.raises(ConfigInvalid) as told:
        read_pointers(items)
    assert [fault.where for fault in told.value.faults] == [where]
    assert said in told.value.faults[0].problem


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"{}", "no manifest of a table"),
        (encode_manifest(msgspec.structs.replace(MANIFEST, table="item")), "is item@3, not user@3"),
        (encode_manifest(msgspec.structs.replace(MANIFEST, release=4)), "is user@4, not user@3"),
    ],
)
def test_another_manifest_is_refused(blob: bytes, said: str) -> None:
    """Of another table, another release, or none at all."""
    with pytest.raises(ConfigInvalid, match=said):
        read_pointers([pointer()])[0].completed(blob)
