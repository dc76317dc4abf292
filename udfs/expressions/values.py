"""What CEL's operators mean on the values of events: exact, one function an operator.

Kinds: null is ``None``, bool ``bool``, int ``int`` in 64 bits, double ``float``, string
``str``, bytes ``bytes``, list ``list`` or ``tuple``, map ``dict``, and those of `kinds`.
Python is laxer than CEL in many places (``1 == True``, ``"a" * 2``, ``l[-1]``,
``nan in [nan]``); whatever CEL refuses is an `EvaluationError` here.

The one difference on purpose: an int and a double are compared exactly, as the language
definition asks; the C++ library rounds the int to a double first, beyond 2**53.
"""

from __future__ import annotations

from typing import Any, NoReturn

from udfs.errors import MillraceError
from udfs.events.event import Event
from udfs.expressions.kinds import (
    FALSE_KEY,
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    TRUE_KEY,
    BoolKey,
    Duration,
    Timestamp,
    UInt,
    kind_of,
)
from udfs.expressions.names import EVENT_FIELDS, OPTIONAL_FIELDS

_NUMBERS = (int, float, UInt)
KEYS = (str, int, UInt, bool)
"""Kinds that keys of map literals can have."""
_ORDERED = (str, bytes, bool, Timestamp, Duration)


class EvaluationError(MillraceError):
    """CEL's error: the expression has no value for these inputs."""


def refuse(operator: str, *operands: Any) -> NoReturn:
    """The error of an operator that does not take these kinds."""
    raise EvaluationError(f"{operator} does not take ({', '.join(map(kind_of, operands))})")


def is_number(value: Any) -> bool:
    """An int, a double or a uint; a bool is none of them."""
    return value.__class__ in _NUMBERS


def check_int(value: int) -> int:
    """The value, if it fits 64 bits."""
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationError("integer overflow: the result does not fit 64 bits")


def check_uint(value: int) -> UInt:
    """The value, if it fits 64 bits without a sign."""
    if 0 <= value <= MAX_UINT:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow: the result does not fit 64 bits")


def check_bool(value: Any) -> bool:
    """The value of a condition."""
    if value is True or value is False:
        return value
    return refuse("a condition", value)


def select(operand: Any, name: str) -> Any:
    """``operand.name``."""
    if operand.__class__ is dict:
        if name in operand:
            return operand[name]
        raise EvaluationError(f"no such key: {name!r}")
    if operand.__class__ is Event:
        value = getattr(operand, name, None) if name in EVENT_FIELDS else None
        if value is None:
            raise EvaluationError(f"the event has no {name!r}")
        return value
    return refuse(f"the field .{name}", operand)


def has(operand: Any, name: str) -> bool:
    """``has(operand.name)``."""
    if operand.__class__ is dict:
        return name in operand
    if operand.__class__ is Event and name in EVENT_FIELDS:
        return name not in OPTIONAL_FIELDS or getattr(operand, name) is not None
    return refuse(f"has(.{name})", operand)


def index(operand: Any, key: Any) -> Any:
    """``operand[key]``."""
    if operand.__class__ is dict:
        key = map_key("[]", operand, key)
        if key in operand:
            return operand[key]
        raise EvaluationError(f"no such key: {key_value(key)!r}")
    if operand.__class__ in (list, tuple) and (
        key.__class__ in (int, UInt) or (key.__class__ is float and key.is_integer())
    ):
        if 0 <= key < len(operand):
            return operand[int(key)]
        raise EvaluationError(f"index {key} of a list of {len(operand)}")
    return refuse("[]", operand, key)


def map_key(operator: str, operand: Any, key: Any) -> Any:
    """What stands for a key in a map: numbers of all kinds meet, a bool is no number."""
    kind = key.__class__
    if kind is str or kind in _NUMBERS:
        return key
    if kind is bool:
        return TRUE_KEY if key else FALSE_KEY
    return refuse(operator, operand, key)


def key_value(key: Any) -> Any:
    """The key of a map as a value of the language."""
    return key.value if key.__class__ is BoolKey else key


def first(operand: Any) -> Any:
    """The first element; an error on an empty list."""
    return index(operand, 0) if operand.__class__ in (list, tuple) else refuse("first", operand)


def last(operand: Any) -> Any:
    """The last element; an error on an empty list."""
    if operand.__class__ in (list, tuple):
        return index(operand, max(len(operand) - 1, 0))
    return refuse("last", operand)


def size(operand: Any) -> int:
    """Characters, bytes, elements or keys."""
    if operand.__class__ in (str, list, dict, tuple, bytes):
        return len(operand)
    return refuse("size", operand)


def equal(left: Any, right: Any) -> bool:
    """``==``: numbers by value, other kinds only with their own, containers by element."""
    kind = left.__class__
    if kind is str:
        return bool(left == right)
    if kind in _NUMBERS:
        return bool(left == right) if right.__class__ in _NUMBERS else False
    if kind is list or kind is tuple:
        return (
            right.__class__ in (list, tuple)
            and len(left) == len(right)
            and all(map(equal, left, right))
        )
    if kind is dict:
        return (
            right.__class__ is dict
            and left.keys() == right.keys()
            and all(equal(value, right[key]) for key, value in left.items())
        )
    if kind is Event:
        return right.__class__ is Event and all(
            equal(getattr(left, name), getattr(right, name)) for name in EVENT_FIELDS
        )
    return kind is right.__class__ and bool(left == right)


def not_equal(left: Any, right: Any) -> bool:
    """``!=``."""
    return not equal(left, right)


def _comparable(operator: str, left: Any, right: Any) -> None:
    kind = left.__class__
    if kind in _NUMBERS:
        if right.__class__ in _NUMBERS:
            return
    elif kind in _ORDERED and right.__class__ is kind:
        return
    refuse(operator, left, right)


def less(left: Any, right: Any) -> bool:
    """``<``."""
    _comparable("<", left, right)
    return bool(left < right)


def less_equal(left: Any, right: Any) -> bool:
    """``<=``."""
    _comparable("<=", left, right)
    return bool(left <= right)


def greater(left: Any, right: Any) -> bool:
    """``>``."""
    _comparable(">", left, right)
    return bool(left > right)


def greater_equal(left: Any, right: Any) -> bool:
    """``>=``."""
    _comparable(">=", left, right)
    return bool(left >= right)


def contains(item: Any, container: Any) -> bool:
    """``item in container``: by `equal` in a list, by key in a map."""
    if container.__class__ in (list, tuple):
        return any(equal(item, element) for element in container)
    if container.__class__ is dict:
        return map_key("in", container, item) in container
    return refuse("in", item, container)


def make_map(*pairs: Any) -> dict[Any, Any]:
    """A map literal from keys and values in turn."""
    made: dict[Any, Any] = {}
    for literal, value in zip(pairs[::2], pairs[1::2], strict=True):
        if literal.__class__ not in KEYS:
            raise EvaluationError(f"a map's key cannot be a {kind_of(literal)}")
        key = map_key("a map", {}, literal)
        if key in made:
            raise EvaluationError(f"the key {literal!r} stands twice in a map")
        made[key] = value
    return made
