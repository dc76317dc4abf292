"""CEL's functions on text, and the conversions between kinds."""

from __future__ import annotations

import functools
import re
from typing import Any

import re2  # type: ignore[import-untyped]

from udfs.expressions.limits import MAX_PATTERN_BYTES, MAX_PATTERNS
from udfs.expressions.values import MAX_INT, MIN_INT, EvaluationError, refuse

_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
SPACES = _SPACES + "\u2028\u2029\u202f\u205f\u3000"
"""What ``trim`` takes away: Unicode's white space."""

_INT = re.compile(r"[\t-\r ]*([+-]?[0-9]+)[\t-\r ]*")
_DOUBLE = re.compile(
    r"[\t-\r ]*"
    r"([+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan))"
    r"[\t-\r ]*",
    re.IGNORECASE | re.ASCII,
)
_MAX_INT_DIGITS = 100  # leading zeros are allowed, quadratic parsing of a megabyte is not
_TRUE, _FALSE = ("1", "t", "true", "TRUE", "True"), ("0", "f", "false", "FALSE", "False")
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})


def text_of(value: Any) -> str:
    """CEL's ``string()`` of a value: what names a group.

    Args:
        value: A bool, number, string or UTF-8 bytes.

    Returns:
        Its text: ``3`` for 3.0, ``true`` for true, ``1e+06`` for 1000000.0.

    Raises:
        EvaluationError: For null, lists, maps, events and bytes that are no UTF-8.
    """
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return repr(value)
    if kind is float:
        return _double_text(value)
    if kind is bytes:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise EvaluationError("string(): the bytes are no UTF-8") from None
    return refuse("string", value)


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


def to_int(value: Any) -> int:
    """``int(x)``: doubles lose their fraction; text is decimal."""
    if value.__class__ is int:
        return int(value)
    if value.__class__ is bool:
        return int(value)
    if value.__class__ is float:
        if float(MIN_INT) < value < float(MAX_INT):
            return int(value)
        raise EvaluationError(f"int({value}) does not fit 64 bits")
    if value.__class__ is str:
        match = _INT.fullmatch(value)
        if match and len(match[1]) <= _MAX_INT_DIGITS and MIN_INT <= int(match[1]) <= MAX_INT:
            return int(match[1])
        raise EvaluationError(f"int() cannot read {value[:40]!r}")
    return refuse("int", value)


def to_double(value: Any) -> float:
    """``double(x)``."""
    if value.__class__ in (int, float):
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


def _strings(name: str, *operands: Any) -> None:
    for operand in operands:
        if operand.__class__ is not str:
            refuse(name, *operands)


def contains_text(text: Any, part: Any) -> bool:
    """``text.contains(part)``."""
    _strings("contains", text, part)
    return part in text


def starts_with(text: Any, part: Any) -> bool:
    """``text.startsWith(part)``."""
    _strings("startsWith", text, part)
    return bool(text.startswith(part))


def ends_with(text: Any, part: Any) -> bool:
    """``text.endsWith(part)``."""
    _strings("endsWith", text, part)
    return bool(text.endswith(part))


def pattern_of(pattern: str) -> Any:
    """An RE2 pattern, compiled.

    Raises:
        EvaluationError: It is too long, or no pattern of RE2.
    """
    if len(pattern.encode()) > MAX_PATTERN_BYTES:
        raise EvaluationError(f"a pattern of more than {MAX_PATTERN_BYTES} bytes")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # whether it matches is all that is asked: half the time
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = b"".join(error.args).decode(errors="replace")
        raise EvaluationError(f"no RE2 pattern: {reason}") from None


_cached_pattern = functools.lru_cache(maxsize=MAX_PATTERNS)(pattern_of)


def matches(text: Any, pattern: Any) -> bool:
    """``text.matches(pattern)``: anywhere in the text, by RE2 (linear time)."""
    _strings("matches", text, pattern)
    return _cached_pattern(pattern).search(text.encode()) is not None


def lower_ascii(text: Any) -> str:
    """``text.lowerAscii()``."""
    _strings("lowerAscii", text)
    return str(text.translate(_LOWER))


def upper_ascii(text: Any) -> str:
    """``text.upperAscii()``."""
    _strings("upperAscii", text)
    return str(text.translate(_UPPER))


def trim(text: Any) -> str:
    """``text.trim()``."""
    _strings("trim", text)
    return str(text.strip(SPACES))


def split(text: Any, separator: Any, limit: Any = -1) -> list[str]:
    """``text.split(separator, limit)``; an empty separator gives the characters."""
    _strings("split", text, separator)
    if limit.__class__ is not int:
        return refuse("split", text, separator, limit)
    if limit == 0:
        return []
    if separator:
        return list(text.split(separator, limit - 1 if limit > 0 else -1))
    if not text:
        return [""]
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def join(parts: Any, separator: Any = "") -> str:
    """``list.join(separator)``: of strings only."""
    _strings("join", separator)
    if parts.__class__ not in (list, tuple):
        return refuse("join", parts, separator)
    _strings("join", *parts)
    return str(separator.join(parts))


def replace(text: Any, old: Any, new: Any, limit: Any = -1) -> str:
    """``text.replace(old, new, limit)``."""
    _strings("replace", text, old, new)
    if limit.__class__ is not int:
        return refuse("replace", text, old, new, limit)
    return str(text.replace(old, new, limit))
