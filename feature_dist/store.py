"""Where published files lie: named by their SHA-256, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from udfs.errors import SettingsInvalid, TableInvalid, TableUnavailable

_CHUNK_BYTES: Final = 1 << 20


class FileStore(Protocol):
    """Files by SHA-256."""

    def put(self, path: Path, sha256: str) -> None:
        """Store a file, unless it is there already.

        Raises:
            TableUnavailable: It cannot be written.
        """

    def fetch(self, sha256: str, size: int, to: Path) -> None:
        """Copy a file and verify it on the way; `to` appears whole or not at all.

        Raises:
            TableUnavailable: It is not there, cannot be read now, or cannot be written here.
            TableInvalid: Of another length or content.
        """

    def uri(self, sha256: str) -> str:
        """Where a file lies, for messages and references."""


class DirectoryStore:
    """Files below a directory, in folders by the first two digits.

    Args:
        root: ``file:///absolute/path``.

    Raises:
        SettingsInvalid: Another kind of URI.
    """

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
            raise SettingsInvalid(f"object store {root!r}: write file:///absolute/path")
        self._root = Path(unquote(parts.path))

    def put(self, path: Path, sha256: str) -> None:
        """See `FileStore`."""
        final = self._path(sha256)
        if final.is_file() and sha256_of(final) == sha256:
            return  # a damaged one is written anew
        partial = final.with_name(f"{final.name}.{os.getpid()}.part")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(final)
        except OSError as error:
            _forget(partial)
            raise TableUnavailable(f"{final} cannot be written: {error}") from error

    def fetch(self, sha256: str, size: int, to: Path) -> None:
        """See `FileStore`."""
        partial = to.with_name(f"{to.name}.{os.getpid()}.part")
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            with self._path(sha256).open("rb") as source, partial.open("wb") as target:
                _copy(source.read, target.write, sha256, size, self.uri(sha256))
                target.flush()
                os.fsync(target.fileno())
            partial.replace(to)
        except OSError as error:
            _forget(partial)
            raise TableUnavailable(f"{self.uri(sha256)} to {to}: {error}") from error
        except TableInvalid:
            _forget(partial)
            raise

    def uri(self, sha256: str) -> str:
        """See `FileStore`."""
        return self._path(sha256).as_uri()

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256


def _forget(partial: Path) -> None:
    with contextlib.suppress(OSError):  # what is wrong with its folder was told already
        partial.unlink(missing_ok=True)


def _copy(
    read: Callable[[int], bytes], write: Callable[[bytes], object], sha256: str, size: int, uri: str
) -> None:
    digest = hashlib.sha256()
    copied = 0
    while chunk := read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > size:
            break  # what is longer than said is not read to its end
        digest.update(chunk)
        write(chunk)
    cure = "publish the table again"
    if copied != size:
        found = f"{copied}" if copied < size else f"more than {size}"
        raise TableInvalid(f"{uri} has {found} bytes, the manifest says {size}: {cure}")
    if digest.hexdigest() != sha256:
        raise TableInvalid(f"{uri} has SHA-256 {digest.hexdigest()}, not {sha256}: {cure}")


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
