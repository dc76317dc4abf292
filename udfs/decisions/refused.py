"""Events that are none for a shard: under a wrong key, or ahead of the time."""

from __future__ import annotations

from udfs.errors import InvalidEvent


def wrong_key(key: bytes | None, subject: str, field: str) -> InvalidEvent:
    """Give the fault of a record whose key is not its subject.

    Args:
        key: Of the record.
        subject: Of the event.
        field: Which field that is.
    """
    if key is None:
        return InvalidEvent("null_key", "key", f"produce with the {field} as key")
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        return InvalidEvent("bad_key", "key", f"{error.reason} at byte {error.start}")
    return InvalidEvent(
        "foreign_key",
        "key",
        f"key {text[:100]!r}, {field} {subject[:100]!r}: produce with the {field}",
    )


def in_the_future(event_time: int, now_ms: int, max_future_ms: int) -> InvalidEvent:
    """Give the fault of an event that is too far ahead of the wall clock."""
    return InvalidEvent(
        "future",
        "$.event_time",
        f"{event_time} is {event_time - now_ms} ms ahead of the clock, allowed are {max_future_ms}",
    )
