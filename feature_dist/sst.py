"""SST files in raw mode: written by the publisher, taken in by the subscriber, same options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    DBCompressionType,
    IngestExternalFileOptions,
    Options,
    Rdict,
    SstFileWriter,
)

from udfs.errors import TableInvalid, TableUnavailable

_BLOOM_BITS: Final = 10.0
_BLOCK_BYTES: Final = 4 << 10


def options() -> Options:
    """Options of writer and database; they must agree."""
    found = Options(raw_mode=True)
    found.create_if_missing(True)  # noqa: FBT003 - as rocksdict has it
    found.set_compression_type(DBCompressionType.lz4())
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(_BLOOM_BITS, False)  # noqa: FBT003
    blocks.set_block_size(_BLOCK_BYTES)
    found.set_block_based_table_factory(blocks)
    return found


def write(path: Path, rows: Iterable[tuple[bytes, bytes]]) -> None:
    """Write a file.

    Args:
        path: Of the file.
        rows: Keys, strictly ascending, with their values; at least one.

    Raises:
        TableUnavailable: It cannot be written.
    """
    writer = SstFileWriter(options())
    try:
        writer.open(str(path))
        for key, value in rows:
            writer[key] = value
        writer.finish()
    except Exception as error:  # rocksdict raises bare exceptions
        path.unlink(missing_ok=True)
        raise TableUnavailable(f"{path} cannot be written: {error}") from error


def take_in(directory: Path, files: Sequence[Path]) -> None:
    """Make a database of files, without copying them.

    Args:
        directory: For the database; must not hold one.
        files: Verified SSTs on the same file system; each is linked, and stays as it is.

    Raises:
        TableInvalid: RocksDB refuses a file.
        TableUnavailable: The directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        database = Rdict(str(directory), options(), access_type=AccessType.read_write())
    except Exception as error:  # rocksdict raises bare exceptions
        raise TableUnavailable(f"{directory} cannot be written: {error}") from error
    links = []
    try:
        for number, file in enumerate(files):
            link = directory / f"{number}.ingest"
            os.link(file, link)
            links.append(str(link))
        if links:
            how = IngestExternalFileOptions()
            how.set_move_files(True)
            database.ingest_external_file(links, how)
    except OSError as error:
        raise TableUnavailable(f"{directory}: {error}") from error
    except Exception as error:
        raise TableInvalid(f"RocksDB refuses a file of {directory}: {error}") from error
    finally:
        database.close()


class Database:
    """A directory that `take_in` has filled; read only, as often open as one likes.

    Args:
        directory: The database.

    Raises:
        TableUnavailable: It cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._database = Rdict(str(directory), options(), access_type=AccessType.read_only())
        except Exception as error:
            raise TableUnavailable(f"{directory} cannot be opened: {error}") from error

    def rows(self) -> int:
        """How many rows its files hold."""
        return sum(int(file["num_entries"]) for file in self._database.live_files())

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """Look keys up; None for those that are not there. HOT.

        Raises:
            TableUnavailable: A file cannot be read any more.
        """
        try:
            found: list[bytes | None] = self._database.get(keys)
        except Exception as error:
            raise TableUnavailable(f"{self._database.path()}: {error}") from error
        return found

    def close(self) -> None:
        """Close it; the files stay."""
        self._database.close()
