"""Events as JSON lines, one after the other: a broken line is told, the next is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from udfs.errors import InvalidEvent
from udfs.events.codec import MAX_BYTES, decode
from udfs.events.event import Event

_CHUNK = 1 << 16


class Line(msgspec.Struct):
    """One line that is not blank.

    Args:
        number: From 1.
        content: The event, or why it is none.
        end: How many bytes were read up to the end of it.
    """

    number: int
    content: Event | InvalidEvent
    end: int


def read_events(file: BinaryIO, max_bytes: int = MAX_BYTES) -> Iterator[Line]:
    """Give the lines as they are read; no more than one is in memory.

    Args:
        file: Of JSON lines in UTF-8; blank lines are passed over.
        max_bytes: A longer line is no event.
    """
    number = end = 0
    while raw := file.readline(max_bytes + 2):
        number += 1
        size = len(raw)
        if not raw.endswith(b"\n") and size > max_bytes:
            while more := file.readline(_CHUNK):
                size += len(more)
                if more.endswith(b"\n"):
                    break
            detail = f"{size} bytes, at most {max_bytes} are read"
            end += size
            yield Line(number, InvalidEvent("too_large", "$", detail), end)
            continue
        end += size
        text = raw.strip()
        if text:
            yield Line(number, _decoded(text), end)


def _decoded(text: bytes) -> Event | InvalidEvent:
    try:
        return decode(text)
    except InvalidEvent as error:
        return error
