"""Bytes and dictionaries to events, events to the packed form in state.

The happy path is one call into msgspec, which checks types, required and unknown fields and
the 64-bit range in C. Everything that makes an error precise happens after a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from udfs.errors import InvalidEvent, StateIncompatible
from udfs.events.event import Event
from udfs.events.refusal import checked_props, checked_text, explain, parse_leniently

MAX_BYTES: Final = 1 << 20
"""Largest event by default; brokers refuse more unless told otherwise."""

SUBJECTS: Final = frozenset(Event.__struct_fields__) - {
    "event_id",
    "event_type",
    "event_time",
    "props",
}
"""Fields that a job can keep its state by."""

_DECODE: Final = msgspec.json.Decoder(Event).decode
_PACK: Final = msgspec.msgpack.Encoder().encode
_UNPACK: Final = msgspec.msgpack.Decoder(list[Any]).decode


def decode(raw: bytes | None, subject: str = "user_id", max_bytes: int = MAX_BYTES) -> Event:
    """Decode the value of one Kafka record. HOT.

    Args:
        raw: JSON in UTF-8; None for a tombstone.
        subject: The field that the job keeps state by, one of `SUBJECTS`; must not be empty.
        max_bytes: Longest value that is looked at.

    Returns:
        The event, valid in every field.

    Raises:
        InvalidEvent: Whatever the bytes, nothing else; its reason is one of
            `udfs.events.reasons.REASONS`.
    """
    if raw is None:
        raise InvalidEvent("tombstone", "$", "the record has no value")
    if len(raw) > max_bytes:
        raise InvalidEvent("too_large", "$", f"{len(raw)} bytes, at most {max_bytes} are read")
    try:
        event = _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        event = _look_again(raw, error)
    if not getattr(event, subject):
        raise _no_subject(subject)
    return event


def from_dict(fields: Mapping[str, Any], subject: str = "user_id") -> Event:
    """Make an event of a dictionary, with the checks of `decode`.

    NaN and infinities in ``props`` pass: JSON has none, dictionaries may.

    Args:
        fields: Names and values of the standard event; containers are copied.
        subject: As in `decode`.

    Returns:
        The event.

    Raises:
        InvalidEvent: As in `decode`.
    """
    event = _from_dict(fields, nonfinite=True)
    if not getattr(event, subject):
        raise _no_subject(subject)
    return event


def to_row(event: Event) -> tuple[Any, ...]:
    """Give the fields in their order, to pack several events into one blob."""
    return astuple(event)


def from_row(row: Sequence[Any]) -> Event:
    """Give the event of a row; fields that were added since take their defaults."""
    return Event(*row)


def to_msgpack(event: Event) -> bytes:
    """Pack an event for state: a MessagePack array in the order of the fields. HOT.

    Half the size of the JSON text. The enclosing blob carries the version; a field appended
    to `Event` does not change it.
    """
    return _PACK(astuple(event))


def from_msgpack(packed: bytes) -> Event:
    """Unpack what `to_msgpack` packed, now or before fields were appended. HOT.

    Raises:
        StateIncompatible: The bytes are not an event that this version knows.
    """
    try:
        return Event(*_UNPACK(packed))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise StateIncompatible(
            f"{len(packed)} bytes of state are not a packed event ({error}): "
            "restore with the version that wrote them, or start without this state"
        ) from error


def _no_subject(subject: str) -> InvalidEvent:
    return InvalidEvent(
        "missing_field", f"$.{subject}", "the job keeps state by this field and it is empty"
    )


def _from_dict(fields: Any, *, nonfinite: bool) -> Event:
    if not isinstance(fields, Mapping):
        kind = type(fields).__name__
        raise InvalidEvent("wrong_type", "$", f"Expected `object`, got `{kind}`")
    for name, value in fields.items():
        checked_text(name, ())
        if isinstance(value, str):
            checked_text(value, (name,))
    try:
        event = msgspec.convert({k: v for k, v in fields.items() if k != "props"}, Event)
    except (msgspec.ValidationError, RecursionError) as error:
        raise explain(error) from None
    if "props" in fields:
        event.props = checked_props(fields["props"], nonfinite=nonfinite)
    return event


def _look_again(raw: bytes, error: Exception) -> Event:
    """Refuse with the exact path; let through what was only nested deeper than C checks."""
    in_props = isinstance(error, msgspec.ValidationError) and "`$.props[" in str(error)
    if in_props or b"\\ud" in raw.lower():
        try:
            event = _from_dict(parse_leniently(raw), nonfinite=False)
        except ValueError as broken:
            raise InvalidEvent("broken_json", "$", str(broken)) from None
        except RecursionError as deep:
            raise explain(deep) from None
        if in_props:
            return event
    raise explain(error) from None
