"""The conversions between CEL's kinds: ``string()``, ``int()`` and their kin."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from udfs.expressions.kinds import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    TYPES,
    Duration,
    Timestamp,
    TypeValue,
    UInt,
)
from udfs.expressions.times import NS_PER_SECOND, duration_text, timestamp_text
from udfs.expressions.values import EvaluationError, check_uint, refuse

_INT = re.compile(r"[\t-\r ]*([+-]?[0-9]+)[\t-\r ]*")
_DOUBLE = re.compile(
    r"[\t-\r ]*"
    r"([+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan))"
    r"[\t-\r ]*",
    re.IGNORECASE | re.ASCII,
)
_MAX_INT_DIGITS = 100  # leading zeros are allowed, quadratic parsing of a megabyte is not
_TRUE, _FALSE = ("1", "t", "true", "TRUE", "True"), ("0", "f", "false", "FALSE", "False")


def text_of(value: Any) -> str:
    """CEL's ``string()`` of a value: what names a group.

    Args:
        value: A bool, number, string, UTF-8 bytes, timestamp or duration.

    Returns:
        Its text: ``3`` for 3.0, ``true`` for true, ``1e+06`` for 1000000.0.

    Raises:
        EvaluationError: For null, lists, maps, events and bytes that are no UTF-8.
    """
    write = _WRITERS.get(value.__class__)
    return write(value) if write else refuse("string", value)


def _bytes_text(value: bytes) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise EvaluationError("string(): the bytes are no UTF-8") from None


def _double_text(value: float) -> str:
    """The shortest digits that read back as the value, with an exponent from 1e6 on."""
    text = repr(value)
    sign, text = ("-", text[1:]) if text[0] == "-" else ("", text)
    if text in ("inf", "nan"):
        return sign + text
    mantissa, _, power = text.partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    if not digits:
        return sign + "0"
    leading = len(whole + part) - len(digits)
    exponent = int(power or 0) + len(whole) - leading - 1
    digits = digits.rstrip("0")
    if -5 < exponent < 6:  # noqa: PLR2004 - where C's %g changes to an exponent
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        digits = digits.ljust(exponent + 1, "0")
        rest = digits[exponent + 1 :]
        return sign + digits[: exponent + 1] + ("." + rest if rest else "")
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    int: repr,
    UInt: int.__repr__,
    float: _double_text,
    bytes: _bytes_text,
    Timestamp: timestamp_text,
    Duration: duration_text,
}


def to_int(value: Any) -> int:
    """``int(x)``: doubles lose their fraction; text is decimal."""
    kind = value.__class__
    if kind is int or kind is bool:
        return int(value)
    if kind is str:
        return _read_int("int", value, MIN_INT, MAX_INT)
    if kind is Timestamp:
        return int(value.ns // NS_PER_SECOND)
    if kind is not float and kind is not UInt:
        return refuse("int", value)
    if value <= MAX_INT if kind is UInt else float(MIN_INT) < value < float(MAX_INT):
        return int(value)
    raise EvaluationError(f"int({value}) does not fit 64 bits")


def _read_int(name: str, text: str, least: int, greatest: int) -> int:
    match = _INT.fullmatch(text)
    if match and len(match[1]) <= _MAX_INT_DIGITS and least <= int(match[1]) <= greatest:
        return int(match[1])
    raise EvaluationError(f"{name}() cannot read {text[:40]!r}")


def to_uint(value: Any) -> UInt:
    """``uint(x)``: as ``int(x)``, but from 0 to 2**64 - 1."""
    if value.__class__ in (int, UInt):
        return check_uint(value)
    if value.__class__ is float:
        if 0.0 <= value < float(MAX_UINT):
            return UInt(value)
        raise EvaluationError(f"uint({value}) does not fit 64 bits")
    if value.__class__ is str and "-" not in value:
        return UInt(_read_int("uint", value, 0, MAX_UINT))
    if value.__class__ is str:
        raise EvaluationError(f"uint() cannot read {value[:40]!r}")
    return refuse("uint", value)


def to_bytes(value: Any) -> bytes:
    """``bytes(x)``: of text its UTF-8."""
    if value.__class__ is str:
        return bytes(value, "utf-8")
    return bytes(value) if value.__class__ is bytes else refuse("bytes", value)


def to_double(value: Any) -> float:
    """``double(x)``."""
    if value.__class__ in (int, float, UInt):
        return float(value)
    if value.__class__ is str:
        match = _DOUBLE.fullmatch(value)
        if match:
            return float(match[1])
        raise EvaluationError(f"double() cannot read {value[:40]!r}")
    return refuse("double", value)


def to_bool(value: Any) -> bool:
    """``bool(x)``."""
    if value.__class__ is bool:
        return bool(value)
    if value.__class__ is str:
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise EvaluationError(f"bool() cannot read {value[:40]!r}")
    return refuse("bool", value)


def type_of(value: Any) -> TypeValue:
    """``type(x)``."""
    return TYPES.get(value.__class__) or refuse("type", value)
