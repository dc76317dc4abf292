"""What sessions keep of an event: a row of texts, and one row for many events that are not kept."""

from __future__ import annotations

from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from xxhash import xxh3_64_hexdigest

from udfs.events.event import Event

Row: TypeAlias = tuple[
    int,
    str,
    str,
    str | None,
    str | None,
    str | None,
    str | None,
    str | None,
    str | None,
    str | None,
    str | None,
]
"""One event: its time, then the fields of `FIELDS`."""

FIELDS: Final = (
    "event_id", "event_type", "source", "launch_id", "scene_id", "page_id", "page_instance",
    "from_page_instance", "from_event_id", "element_id",
)  # fmt: skip
"""What a row holds behind the time, in this order; part of the format of the state."""

APP_LAUNCH: Final = "app_launch"
SCENE_ENTER: Final = "scene_enter"
PAGE_ENTER: Final = "page_enter"
PAGE_LEAVE: Final = "page_leave"
SESSION_END: Final = "session_end"

_DIGITS: Final = 16
_MARK: Final = "\u2026"


class More(NamedTuple):
    """Events that are counted and not kept.

    Args:
        time: Of the first.
        until: Time of the last.
        number: How many.
        instance: The page whose behaviours all of them are; None if that is not known.
    """

    time: int
    until: int
    number: int
    instance: str | None


Item: TypeAlias = Row | More
in_time = itemgetter(0)
"""Sorts items; the sort is stable, so events of one time keep their order of arrival."""


def row_of(event: Event) -> Row:
    """Give the row of an event; an empty text is an absent one. HOT."""
    return (
        event.event_time,
        event.event_id,
        event.event_type,
        event.source or None,
        event.launch_id or None,
        event.scene_id or None,
        event.page_id or None,
        event.page_instance or None,
        event.from_page_instance or None,
        event.from_event_id or None,
        event.element_id or None,
    )


def cut(row: Row, longest: int) -> Row:
    """Shorten the texts of a row that are too long; different texts stay different.

    Args:
        row: Of an event.
        longest: Characters of one text.
    """
    time, *texts = row
    return (time, *(_cut(text, longest) for text in texts))  # type: ignore[return-value]


def _cut(text: str | None, longest: int) -> str | None:
    if text is None or len(text) <= longest:
        return text
    kept = text[: longest - _DIGITS - 1]
    return f"{kept}{_MARK}{xxh3_64_hexdigest(text.encode())}"
