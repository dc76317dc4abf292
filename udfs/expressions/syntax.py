"""The syntax tree of an expression, read from the CEL library's serialised form.

The library hands over ``google.protobuf.Any`` around ``cel.expr.CheckedExpr``. Only five
of its messages matter here, so they are read off the wire directly: protobuf's own Python
parser stops at a depth of 100 messages, which a chain of fifty additions exceeds. Field
numbers are those of ``cel/expr/checked.proto`` and ``cel/expr/syntax.proto``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from udfs.expressions.kinds import UInt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Scalar: TypeAlias = bool | int | float | str | bytes | None
_Fields: TypeAlias = dict[int, list[int | bytes]]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SOURCE_INFO, _OPTIONAL_ITEMS, _MAP_KEY, _OPTIONAL_ENTRY = 5, 2, 3, 5
_SIGN, _WRAP = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class Node:
    """One node; ``id`` finds its place in the text."""

    id: int


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A literal."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A variable; a leading dot means that no macro's variable can hide it."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``operand.field``, or ``has(operand.field)``."""

    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function or an operator (``_+_``); a method's target is its first argument."""

    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """``{"a": b}``."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """What the parser makes of a macro: a loop with an accumulator."""

    variable: str
    over: Node
    accumulator: str
    start: Node
    step: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Unknown(Node):
    """A construct that this package does not support."""

    what: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole expression.

    Args:
        root: Its outermost node.
        offsets: Position in the text, in characters, by node id.
    """

    root: Node
    offsets: dict[int, int] = field(default_factory=dict)


def decode_tree(serialised: bytes) -> Tree:
    """Reads what the CEL library serialised.

    Args:
        serialised: ``Any`` around ``CheckedExpr``.

    Returns:
        The tree with the position of each node.
    """
    checked = _fields(_blob(_fields(serialised), 2))
    positions = _fields(_blob(checked, _SOURCE_INFO)).get(4, []) if _SOURCE_INFO in checked else []
    offsets = {}
    for entry in positions:
        pair = _fields(entry if isinstance(entry, bytes) else b"")
        offsets[_number(pair, 1)] = _number(pair, 2)
    return Tree(_node(_blob(checked, 4)), offsets)


def _node(data: bytes) -> Node:
    expr = _fields(data)
    id_ = _number(expr, 2)
    for number, build in _BUILDERS.items():
        if number in expr:
            return build(id_, _fields(_blob(expr, number)))
    return Unknown(id_, "an empty expression")


def _const(id_: int, message: _Fields) -> Node:
    for number, read in _CONSTANTS.items():
        if number in message:
            return Const(id_, read(message, number))
    return Unknown(id_, "this kind of constant")


def _signed(message: _Fields, number: int) -> int:
    value = _number(message, number)
    return value - _WRAP if value & _SIGN else value


def _ident(id_: int, message: _Fields) -> Node:
    return Ident(id_, _text(message, 1))


def _select(id_: int, message: _Fields) -> Node:
    operand = _node(_blob(message, 1))
    return Select(id_, operand, _text(message, 2), _number(message, 3) != 0)


def _call(id_: int, message: _Fields) -> Node:
    nodes = (*_blobs(message, 1), *_blobs(message, 3))
    return Call(id_, _text(message, 2), tuple(map(_node, nodes)))


def _list(id_: int, message: _Fields) -> Node:
    if _OPTIONAL_ITEMS in message:
        return Unknown(id_, "an optional element")
    return ListLiteral(id_, tuple(map(_node, _blobs(message, 1))))


def _struct(id_: int, message: _Fields) -> Node:
    if _text(message, 1):
        return Unknown(id_, "a message literal")
    entries = []
    for blob in _blobs(message, 2):
        entry = _fields(blob)
        if _MAP_KEY not in entry or _OPTIONAL_ENTRY in entry:
            return Unknown(id_, "this kind of map entry")
        entries.append((_node(_blob(entry, 3)), _node(_blob(entry, 4))))
    return MapLiteral(id_, tuple(entries))


def _fold(id_: int, message: _Fields) -> Node:
    if _text(message, 8):
        return Unknown(id_, "a macro with two variables")
    over, start, step, result = (_node(_blob(message, number)) for number in (2, 4, 6, 7))
    return Fold(id_, _text(message, 1), over, _text(message, 3), start, step, result)


_BUILDERS = {3: _const, 4: _ident, 5: _select, 6: _call, 7: _list, 8: _struct, 9: _fold}


def _fields(data: bytes) -> _Fields:
    """A message as field number to its values: integers, or the bytes of all else."""
    found: _Fields = {}
    for number, value in _pairs(data):
        found.setdefault(number, []).append(value)
    return found


def _pairs(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind == _FIXED64:
            size = 8
        elif kind == _FIXED32:
            size = 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}: not a serialised CEL expression")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
        shift += 7


def _blobs(message: _Fields, number: int) -> list[bytes]:
    return [value for value in message.get(number, ()) if isinstance(value, bytes)]


def _blob(message: _Fields, number: int) -> bytes:
    blobs = _blobs(message, number)
    return blobs[-1] if blobs else b""


def _number(message: _Fields, number: int) -> int:
    values = [value for value in message.get(number, ()) if isinstance(value, int)]
    return values[-1] if values else 0


def _text(message: _Fields, number: int) -> str:
    return _blob(message, number).decode()


_CONSTANTS: dict[int, Callable[[_Fields, int], Scalar]] = {
    1: lambda _message, _number: None,
    2: lambda message, number: _number(message, number) != 0,
    3: _signed,
    4: lambda message, number: UInt(_number(message, number)),
    5: lambda message, number: float(struct.unpack("<d", _blob(message, number))[0]),
    6: _text,
    7: _blob,
}
