"""Dead letters: records that are no events, kept as they came, with the reason."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from udfs.errors import InvalidEvent

MAX_VALUE_BYTES: Final = 900_000
"""Longest value that is kept whole; producers and brokers stop at 1 MB with headers."""

HEAD_BYTES: Final = 65_536
"""How much of a longer value is kept: enough to see what sent it."""

_MAX_HEADER_CHARS: Final = 1_000


class Record(NamedTuple):
    """What a side topic gets: a value and headers."""

    value: bytes
    headers: list[tuple[str, bytes]]


class CutValue(msgspec.Struct, frozen=True):
    """Stands for a value that was too long to keep; written as JSON.

    Args:
        head: The first bytes, base64.
        length: Length of the whole value in bytes.
        sha256: Of the whole value, hex, to recognise it at its origin.
        partition: Where the whole value lies.
        offset: Where the whole value lies.
    """

    head: str
    length: int
    sha256: str
    partition: int
    offset: int


def dead_letter(
    raw: bytes | None,
    error: InvalidEvent,
    *,
    partition: int,
    offset: int,
    mapping: str = "",
    revision: int = 0,
) -> Record:
    """Give the dead letter of a record.

    Args:
        raw: The record's value; None for a tombstone.
        error: Why it is no event.
        partition: Where the record came from.
        offset: Where the record came from.
        mapping: Name of the mapping that was applied, if one was.
        revision: Revision of the config in force.

    Returns:
        The original bytes up to `MAX_VALUE_BYTES`, beyond that a `CutValue`; nothing for a
        value that was NULL, which the header ``null_value`` then says. A header ``cut`` marks
        a cut value.
    """
    headers = [
        ("error", error.reason.encode()),
        ("where", header(error.where)),
        ("detail", header(error.detail)),
        ("mapping", header(mapping)),
        ("revision", b"%d" % revision),
        ("partition", b"%d" % partition),
        ("offset", b"%d" % offset),
    ]
    if raw is None:
        return Record(b"", [*headers, ("null_value", b"true")])
    if len(raw) <= MAX_VALUE_BYTES:
        return Record(raw, headers)
    cut = CutValue(
        head=base64.b64encode(raw[:HEAD_BYTES]).decode(),
        length=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        partition=partition,
        offset=offset,
    )
    return Record(msgspec.json.encode(cut), [*headers, ("cut", b"true")])


def header(text: str) -> bytes:
    """Encode a header's text: never fails, never longer than a header may sensibly be."""
    return text[:_MAX_HEADER_CHARS].encode(errors="backslashreplace")
