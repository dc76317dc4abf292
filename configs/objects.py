"""Content-addressed blobs: a file is named by its SHA-256 and never changes.

A blob that is read is always verified; what a manifest names is what a worker gets, or nothing.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from configs.manifest import MAX_BLOB_BYTES, Ref
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, SettingsInvalid

_SCHEMES: Final = frozenset({"file"})  # others of pyarrow.fs join with their tests


class ObjectStore:
    """Blobs below one root.

    Args:
        root: URI of a directory, e.g. ``file:///srv/blobs``.
        max_bytes: Larger blobs are neither written nor read.

    Raises:
        SettingsInvalid: Not such a URI.
    """

    def __init__(self, root: str, max_bytes: int = MAX_BLOB_BYTES) -> None:
        try:
            self._filesystem, self._path = _open(root)
        except ValueError as error:
            raise SettingsInvalid(
                f"object store {root!r}: {error}; write file:///absolute/path"
            ) from error
        self._root = root.rstrip("/")
        self._max_bytes = max_bytes

    def put(self, blob: bytes) -> Ref:
        """Write a blob, unless it is there already; a damaged one is written anew.

        The file appears whole or not at all: it is written beside, synced, then renamed.

        Raises:
            ConfigInvalid: Larger than ``max_bytes``.
            ConfigUnavailable: It cannot be written.
        """
        sha256 = hashlib.sha256(blob).hexdigest()
        name = f"{sha256[:2]}/{sha256}"
        ref = Ref(uri=f"{self._root}/{name}", sha256=sha256, bytes=len(blob))
        if len(blob) > self._max_bytes:
            raise ConfigInvalid([_too_large(ref, self._max_bytes)])
        try:
            self.get(ref)
        except (ConfigUnavailable, ConfigInvalid):
            pass
        else:
            return ref
        final = f"{self._path}/{name}"
        partial = f"{final}.{os.getpid()}.part"
        try:
            self._filesystem.create_dir(f"{self._path}/{sha256[:2]}", recursive=True)
            with self._filesystem.open_output_stream(partial) as stream:
                stream.write(blob)
            _sync(partial)
            self._filesystem.move(partial, final)
            _sync(str(Path(final).parent))
        except OSError as error:
            raise ConfigUnavailable(f"{ref.uri} cannot be written: {error}") from error
        return ref

    def get(self, ref: Ref) -> bytes:
        """Read and verify a blob, see :func:`get`."""
        return get(ref, self._max_bytes)


def get(ref: Ref, max_bytes: int = MAX_BLOB_BYTES) -> bytes:
    """Read a blob from wherever it lies and verify it.

    Args:
        ref: Its place, length and hash.
        max_bytes: Larger ones are not read.

    Raises:
        ConfigUnavailable: It is not there, or cannot be read now.
        ConfigInvalid: Too large, of another length or of another hash than said.
    """
    if ref.bytes > max_bytes:
        raise ConfigInvalid([_too_large(ref, max_bytes)])
    try:
        filesystem, path = _open(ref.uri)
    except ValueError as error:
        cure = "write file:///absolute/path"
        raise ConfigInvalid([Fault(ref.uri, f"not a URI of a blob: {error}", cure)]) from error
    try:
        with filesystem.open_input_stream(path, compression=None) as stream:
            blob: bytes = stream.read(ref.bytes + 1)  # one more shows that it is too long
    except FileNotFoundError as error:
        raise ConfigUnavailable(f"{ref.uri} is not there") from error
    except OSError as error:
        raise ConfigUnavailable(f"{ref.uri} cannot be read: {error}") from error
    cure = "publish the reference that writing the blob gave"
    if len(blob) != ref.bytes:
        found = f"{len(blob)}" if len(blob) < ref.bytes else f"more than {ref.bytes}"
        raise ConfigInvalid(
            [Fault(ref.uri, f"wrong size: {found} bytes, {ref.bytes} expected", cure)]
        )
    sha256 = hashlib.sha256(blob).hexdigest()
    if sha256 != ref.sha256:
        raise ConfigInvalid(
            [Fault(ref.uri, f"wrong hash: SHA-256 {sha256}, {ref.sha256} expected", cure)]
        )
    return blob


def _open(uri: str) -> tuple[fs.FileSystem, str]:
    scheme = urlsplit(uri).scheme
    if scheme not in _SCHEMES:
        raise ValueError(f"scheme {scheme!r} is not supported, known: {', '.join(_SCHEMES)}")
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    return filesystem, path


def _sync(path: str) -> None:
    """Make a file's content, or a directory's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _too_large(ref: Ref, max_bytes: int) -> Fault:
    return Fault(
        ref.uri, f"{ref.bytes} bytes, more than the {max_bytes} allowed", "make it smaller"
    )
