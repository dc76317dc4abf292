"""The tree that the code generators work on: every name resolved, every macro recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from udfs.expressions.kinds import TypeValue
    from udfs.expressions.syntax import Scalar

Constant: TypeAlias = "Scalar | TypeValue"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; a type is one as well."""

    value: Constant


@dataclass(frozen=True, slots=True)
class Lifted:
    """A constant that is given to the code, not written in it; see `udfs.expressions.lift`."""

    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A name: ``scope`` is ``event``, ``field``, ``step`` or ``value``."""

    scope: str
    name: str


@dataclass(frozen=True, slots=True)
class Local:
    """The variable of a macro, by number: its name never reaches the generated code."""

    number: int


@dataclass(frozen=True, slots=True)
class Get:
    """``operand.name``."""

    operand: Term
    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """``has(operand.name)``."""

    operand: Term
    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function; the operands of ``_&&_`` and ``_||_`` are flattened."""

    function: str
    args: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A map literal: keys and values in turn."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """``all``, ``exists``, ``exists_one`` or ``map``; a ``filter`` is a map of itself."""

    name: str
    over: Term
    local: int
    make: Term | None
    predicate: Term | None


Term: TypeAlias = Literal | Lifted | Variable | Local | Get | Has | Apply | Items | Entries | Macro
