"""A piece of generated source, with what is certain of its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from udfs.expressions.kinds import TypeValue, UInt
from udfs.expressions.terms import Items, Literal

if TYPE_CHECKING:
    from udfs.expressions.terms import Constant, Term

LITERAL_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    UInt: "uint",
    TypeValue: "type",
    float: "double",
    str: "string",
    bytes: "bytes",
}
"""The kind of a constant."""
NUMBERS = frozenset(("int", "double", "uint"))
"""Kinds that can be compared with each other."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Source of a term, its kind, and of a list the kind of its elements, of a map its keys'."""

    code: str
    kind: str = "dyn"
    element: str = "dyn"


def constants(term: Term) -> tuple[Constant, ...]:
    """The values of a list literal of constants; empty if it is none."""
    if not isinstance(term, Items):
        return ()
    values = tuple(item.value for item in term.items if isinstance(item, Literal))
    return values if len(values) == len(term.items) else ()
