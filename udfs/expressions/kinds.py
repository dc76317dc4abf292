"""CEL's kinds of values that JSON does not have, and the name of every kind.

They arise inside of an expression only: what goes in is JSON, and what comes out is, too
(`udfs.expressions.export`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from udfs.events.event import Event

MIN_INT, MAX_INT, MAX_UINT = -(2**63), 2**63 - 1, 2**64 - 1


class UInt(int):
    """An unsigned integer: compares as a number, but adds to its own kind only."""

    __slots__ = ()


class Timestamp(msgspec.Struct, frozen=True, order=True):
    """A point in time.

    Args:
        ns: Nanoseconds since the epoch.
    """

    ns: int


class Duration(msgspec.Struct, frozen=True, order=True):
    """A span of time.

    Args:
        ns: Nanoseconds.
    """

    ns: int


class TypeValue(msgspec.Struct, frozen=True):
    """What ``type(x)`` gives.

    Args:
        name: CEL's.
    """

    name: str


class BoolKey(msgspec.Struct, frozen=True):
    """``true`` or ``false`` as a key of a map: in Python they would be 1 and 0.

    Args:
        value: The bool.
    """

    value: bool


TRUE_KEY, FALSE_KEY = BoolKey(value=True), BoolKey(value=False)

_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
    Timestamp: "timestamp",
    Duration: "duration",
    TypeValue: "type",
    Event: "event",
}
_TYPES = {  # where the name of the type is another
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "event": "millrace.Event",
}
TYPES = {kind: TypeValue(_TYPES.get(name, name)) for kind, name in _NAMES.items()}
"""The type of each kind of value."""
TYPE_NAMES = frozenset(found.name for found in TYPES.values()) - {"millrace.Event"}
"""The types that a text can mention, as in ``type(x) == int``."""


def kind_of(value: Any) -> str:
    """CEL's name of a value's kind, as messages have it."""
    return _NAMES.get(value.__class__, str(value.__class__.__name__))
