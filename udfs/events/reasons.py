"""Why a record is not an event: the complete list of reasons."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

REASONS: Final = MappingProxyType(
    {
        "tombstone": "the record has no value",
        "too_large": "more bytes than an event may have",
        "broken_json": "not UTF-8, or not one JSON text",
        "bad_text": "a lone surrogate, which no UTF-8 text can hold",
        "too_deep": "lists and maps nested deeper than an event may nest them",
        "wrong_type": "a field holds a value of another type",
        "missing_field": "a field that must be there is absent or empty",
        "unknown_field": "a field that the standard event does not have",
        "out_of_range": "a number beyond 64 bits, or a negative event_time",
        "future": "event_time is further ahead of the wall clock than max_future",
        "null_key": "the record has no key, so it has no shard",
        "bad_key": "the key is not UTF-8",
        "foreign_key": "the key is not the subject of the event",
    }
)
"""Machine-readable reason -> what it means. `InvalidEvent.reason` is always one of these."""
