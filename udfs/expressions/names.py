"""What an expression may mention."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from udfs.events.event import Event
from udfs.expressions.limits import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONAL_FIELDS = frozenset(
    field.name for field in msgspec.structs.fields(Event) if field.default is None
)
"""Fields of an event that may be absent; to read an absent one is an error."""
EVENT_FIELDS = {
    field.name: (
        "int" if field.name == "event_time" else "map" if field.name == "props" else "string"
    )
    for field in msgspec.structs.fields(Event)
}
"""Every field of an event and its kind."""
EVENT = "event"
"""The variable that holds the whole event, for ``has(event.page_id)``."""

_TYPE = re.compile(r"((?:list\(|map\(){0,8})(?:bool|int|double|string|dyn)(\){0,8})")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Names(msgspec.Struct, frozen=True):
    """What an expression may mention.

    Names that are no identifiers of CEL (``cart-1``, ``user.age``) are allowed here, but no
    expression can reach them.

    Args:
        event: The event's fields as variables (``event_type``, ``props`` …), and ``event``
            for the whole, unless a step or value has that name.
        steps: Each a list of events.
        values: Further names, of dynamic type.
        types: What is known of values and of members of maps, by name: ``("props.price",
            "double")``, ``("score", "double")``. The types are ``bool``, ``int``, ``double``,
            ``string``, ``list(T)``, ``map(T)`` (keys are strings) and ``dyn``. They are used
            for checking when an expression is loaded; data that breaks them is met as any
            other: by errors when it is evaluated.
    """

    event: bool = True
    steps: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()

    def clashes(self) -> Iterator[tuple[str, str]]:
        """Names that would mean two things, each with a reason."""
        seen: dict[str, str] = {}
        if self.event:
            seen.update(dict.fromkeys(EVENT_FIELDS, "a field of the event"))
        for name, what in (
            *((name, "a step") for name in self.steps),
            *((name, "a value") for name in self.values),
        ):
            if name in seen and seen[name] != what:
                yield name, f"{what} and {seen[name]}"
            seen[name] = what

    def variables(self) -> dict[str, str]:
        """Every name that an expression can write, with its kind.

        Returns:
            Name to ``int``, ``string``, ``map``, ``event``, ``events`` or ``dyn``.
        """
        found: dict[str, str] = {}
        if self.event:
            found.update({EVENT: "event"}, **EVENT_FIELDS)
        found.update(dict.fromkeys(filter(_writable, self.steps), "events"))
        found.update(dict.fromkeys(filter(_writable, self.values), "dyn"))
        return found

    def wrong_types(self) -> Iterator[tuple[str, str]]:
        """Declared types that cannot be used, each with what is wrong and how to mend it."""
        known = self.variables()
        for name, kind in self.types:
            match = _TYPE.fullmatch(kind)
            if match is None or match[1].count("(") != len(match[2]):
                yield f"{kind!r}, declared for {name!r}, is no type", "write list(string), say"
            first, *members = name.split(".")
            if not all(map(_IDENTIFIER.match, members)) or known.get(first) not in ("map", "dyn"):
                yield f"a type is declared for {name!r}", "declare values and members of maps"


def _writable(name: str) -> bool:
    return bool(_IDENTIFIER.match(name)) and name not in RESERVED
