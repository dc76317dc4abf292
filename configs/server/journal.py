"""An append-only file of JSON lines: a line that was appended survives ``kill -9``.

Format: the first line is ``{"format":1,"sequence":N}``, N the id before the first; then one
record a line. A torn last line (the process died while it was written, nobody was told that it
was kept) is cut off; damage anywhere else is an error, never skipped.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
_NAME: Final = "releases.jsonl"


class Journal:
    """The file and its lock.

    Args:
        directory: Made if absent. One journal at a time may be open in it.
        first_sequence: Written into a new journal.

    Raises:
        StateIncompatible: Damaged, of another format, or open elsewhere.
        OSError: It cannot be read or written.
    """

    def __init__(self, directory: Path, first_sequence: int = 0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / _NAME
        self._file: BinaryIO = self._path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise StateIncompatible(
                f"{self._path} is open in another config server; stop it or use another directory"
            ) from error
        lines = self._lines()
        self._size = sum(len(line) + 1 for line in lines)
        self._file.truncate(self._size)
        if not lines:
            header = {"format": FORMAT, "sequence": first_sequence}
            self.append(header)
            _sync_directory(directory)
            lines = [msgspec.json.encode(header)]
        values = [self._decode(number, line) for number, line in enumerate(lines, 1)]
        if values[0].get("format") != FORMAT:
            raise StateIncompatible(
                f"{self._path} has format {values[0].get('format')!r}, this server reads {FORMAT}; "
                "start the server that wrote it, or use another directory"
            )
        self.sequence = int(values[0].get("sequence", 0))
        self.records = values[1:]

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; when this returns it is on the disk.

        Raises:
            OSError: It is not; the file is as before.
        """
        line = msgspec.json.encode(record) + b"\n"
        try:
            self._write(line)
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Close the file and release the directory."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        written = self._file.write(line)
        if written != len(line):
            raise OSError(f"{self._path}: {written} of {len(line)} bytes written; disk full?")

    def _lines(self) -> list[bytes]:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        lines.pop()  # what follows the last line end: nothing, or a torn line
        return lines

    def _decode(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise StateIncompatible(
                f"{self._path}:{number} is damaged ({error}); "
                "restore the file from a copy, or delete it to start empty"
            ) from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
