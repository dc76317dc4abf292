"""What a version consists of: its manifest, and its files brought here whole or not at all."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feature_dist.store import DirectoryStore
from tests.udfs.scoring.models import Published
from udfs.errors import ModelInvalid, ModelUnavailable
from udfs.scoring.artifact import (
    ModelManifest,
    check_files,
    decode_manifest,
    encode_manifest,
    fetch,
)


def changed(manifest: ModelManifest, **changes: Any) -> bytes:
    """The manifest's bytes, changed; None takes a field away."""
    raw = json.loads(encode_manifest(manifest)) | changes
    return json.dumps({key: value for key, value in raw.items() if value is not None}).encode()


def test_a_manifest_is_read_again(published: Published) -> None:
    """Equal, and the same bytes for the same content."""
    blob = encode_manifest(published.manifest)
    assert decode_manifest(blob) == published.manifest
    assert encode_manifest(decode_manifest(blob)) == blob
    assert published.manifest.label == "ctr_small@1"


def first_file(manifest: ModelManifest, **changes: Any) -> list[dict[str, Any]]:
    """The files, the first one changed."""
    files: list[dict[str, Any]] = msgspec.to_builtins(manifest.files)
    return [files[0] | changes, *files[1:]]


@pytest.mark.parametrize(
    "path",
    ["../outside", "saved_model/../../x", "/etc/passwd", ".", "", "a//b", "./a", "a/", "a/..",
     "a\\b", "a\0b", "model.tflite/x", "golden.json"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(published: Published, path: str) -> None:
    """Before anything is written."""
    files = first_file(published.manifest, path=path)
    with pytest.raises(ModelInvalid, match=r"ctr_small@1.*path"):
        decode_manifest(changed(published.manifest, files=files))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2, this code reads 1: upgrade"),
        ({"format": 2, "files": None, "news": 1}, "format 2"),
        ({"format": "1"}, "no manifest of a model"),
        ({"model": None}, "no manifest of a model"),
        ({"model": "other"}, "its inputs are those of 'ctr_small'"),
        ({"version": 0}, "version 0 is below 1"),
        ({"version": 1.5}, "no manifest of a model"),
        ({"outputs": 0}, "0 outputs"),
        ({"engines": []}, "known are litert, savedmodel"),
        ({"engines": ["abacus"]}, "abacus"),
        ({"tolerance": -1.0}, "a tolerance of -1.0"),
        ({"inputs": {}}, "inputs: 'model' is a required property"),
        ({"files": []}, "it has no golden.json"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_is_no_manifest_is_refused(
    published: Published, changes: dict[str, Any], words: str
) -> None:
    """With the reason."""
    with pytest.raises(ModelInvalid) as caught:
        decode_manifest(changed(published.manifest, **changes))
    assert words in str(caught.value)


@pytest.mark.parametrize("sha256", ["", "../" * 21 + "x", "A" * 64, "0" * 63])
def test_a_hash_that_is_none_is_refused(published: Published, sha256: str) -> None:
    """It becomes part of a path in the store."""
    files = first_file(published.manifest, sha256=sha256)
    with pytest.raises(ModelInvalid, match="SHA-256"):
        decode_manifest(changed(published.manifest, files=files))


@pytest.mark.parametrize("blob", [b"", b"{", b"[]", b"null", b"\xff", b"{}"], ids=repr)
def test_what_is_no_json_object_is_refused(blob: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(ModelInvalid, match="no manifest of a model"):
        decode_manifest(blob)


def listing(path: Path) -> set[str]:
    """Everything below a directory."""
    return {each.relative_to(path).as_posix() for each in path.rglob("*")}


def test_fetching_brings_the_files_and_nothing_else(published: Published, tmp_path: Path) -> None:
    """Twice is once; a damaged one is replaced."""
    directory = tmp_path / "models" / "ctr_small@1"
    fetch(published.manifest, published.store, directory)
    files = {file.path for file in published.manifest.files}
    assert {name for name in listing(directory) if (directory / name).is_file()} == files
    assert [each.name for each in directory.parent.iterdir()] == ["ctr_small@1"]
    before = (directory / "model.tflite").stat()
    fetch(published.manifest, published.store, directory)
    assert (directory / "model.tflite").stat().st_ino == before.st_ino
    (directory / "model.tflite").write_bytes(b"x")
    fetch(published.manifest, published.store, directory)
    check_files(published.manifest, directory)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped bit": lambda blob: blob[:100] + bytes([blob[100] ^ 1]) + blob[101:],
    "cut": lambda blob: blob[:-1],
    "longer": lambda blob: blob + b"\0",
    "empty": lambda _blob: b"",
}


@pytest.fixture
def store(published: Published, tmp_path: Path) -> DirectoryStore:
    """A copy of the store that may be damaged."""
    root = tmp_path / "store"
    for file in published.manifest.files:
        path = root / file.sha256[:2] / file.sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(published.stored(file.path).read_bytes())
    return DirectoryStore(root.as_uri())


def stored(published: Published, tmp_path: Path, name: str) -> Path:
    """A file in that copy."""
    path = published.stored(name)
    return tmp_path / "store" / path.parent.name / path.name


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("name", ["golden.json", "model.tflite", "saved_model/saved_model.pb"])
def test_a_damaged_file_in_the_store_is_refused(
    published: Published,
    store: DirectoryStore,
    tmp_path: Path,
    name: str,
    damage: Callable[[bytes], bytes],
) -> None:
    """Nothing is left here."""
    path = stored(published, tmp_path, name)
    path.write_bytes(damage(path.read_bytes()))
    (tmp_path / "here").mkdir()
    with pytest.raises(ModelInvalid, match=r"ctr_small@1.*publish the model again") as caught:
        fetch(published.manifest, store, tmp_path / "here" / "model")
    assert "table" not in str(caught.value)
    assert listing(tmp_path / "here") == set()


def test_an_absent_file_may_come_yet(
    published: Published, store: DirectoryStore, tmp_path: Path
) -> None:
    """Nothing is left here; the next try succeeds."""
    path = stored(published, tmp_path, "model.tflite")
    blob = path.read_bytes()
    path.unlink()
    (tmp_path / "here").mkdir()
    with pytest.raises(ModelUnavailable, match="ctr_small@1 cannot be fetched"):
        fetch(published.manifest, store, tmp_path / "here" / "model")
    assert listing(tmp_path / "here") == set()
    path.write_bytes(blob)
    fetch(published.manifest, store, tmp_path / "here" / "model")


def test_a_full_disk_leaves_nothing(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the disk's fault, not the model's."""
    copied: list[int] = []

    def fsync(_descriptor: int) -> None:
        copied.append(1)
        if len(copied) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    (tmp_path / "here").mkdir()
    with pytest.raises(ModelUnavailable, match="No space left"):
        fetch(published.manifest, published.store, tmp_path / "here" / "model")
    assert listing(tmp_path / "here") == set()


def test_a_directory_that_cannot_be_made(published: Published, tmp_path: Path) -> None:
    """Is told as such."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="cannot be fetched"):
        fetch(published.manifest, published.store, tmp_path / "file" / "model")


def test_what_a_killed_process_left_does_no_harm(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of the same number begins anew."""
    monkeypatch.setattr("os.getpid", lambda: 77)
    part = tmp_path / "model.77.part"
    part.mkdir()
    (part / "half").write_text("half")
    fetch(published.manifest, published.store, tmp_path / "model")
    assert not part.exists()
    assert "half" not in listing(tmp_path / "model")
