"""CEL's functions on text."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from udfs.expressions.limits import MAX_RESULT
from udfs.expressions.values import EvaluationError, refuse

_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
SPACES = _SPACES + "\u2028\u2029\u202f\u205f\u3000"
"""What ``trim`` takes away: Unicode's white space."""

_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})


def check_strings(name: str, *operands: Any) -> None:
    """Refuses operands that are no strings."""
    for operand in operands:
        if operand.__class__ is not str:
            refuse(name, *operands)


def contains_text(text: Any, part: Any) -> bool:
    """``text.contains(part)``."""
    check_strings("contains", text, part)
    return part in text


def starts_with(text: Any, part: Any) -> bool:
    """``text.startsWith(part)``."""
    check_strings("startsWith", text, part)
    return bool(text.startswith(part))


def ends_with(text: Any, part: Any) -> bool:
    """``text.endsWith(part)``."""
    check_strings("endsWith", text, part)
    return bool(text.endswith(part))


def lower_ascii(text: Any) -> str:
    """``text.lowerAscii()``."""
    check_strings("lowerAscii", text)
    return str(text.translate(_LOWER))


def upper_ascii(text: Any) -> str:
    """``text.upperAscii()``."""
    check_strings("upperAscii", text)
    return str(text.translate(_UPPER))


def trim(text: Any) -> str:
    """``text.trim()``."""
    check_strings("trim", text)
    return str(text.strip(SPACES))


def split(text: Any, separator: Any, limit: Any = -1) -> list[str]:
    """``text.split(separator, limit)``; an empty separator gives the characters."""
    check_strings("split", text, separator)
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
    check_strings("join", separator)
    if parts.__class__ not in (list, tuple):
        return refuse("join", parts, separator)
    check_strings("join", *parts)
    _check_size(sum(map(len, parts)) + len(separator) * len(parts))
    return str(separator.join(parts))


def replace(text: Any, old: Any, new: Any, limit: Any = -1) -> str:
    """``text.replace(old, new, limit)``."""
    check_strings("replace", text, old, new)
    if limit.__class__ is not int:
        return refuse("replace", text, old, new, limit)
    if len(new) > len(old):
        found = text.count(old)
        times = found if limit < 0 else min(found, limit)
        _check_size(len(text) + times * (len(new) - len(old)))
    return str(text.replace(old, new, limit))


def _check_size(size: int) -> None:
    """Refuses to make a text that is far longer than any of its operands."""
    if size > MAX_RESULT:
        raise EvaluationError(f"a text of {size} characters, at most {MAX_RESULT} can be made")


def url_param(url: Any, name: Any) -> str:
    """``url_param(url, name)``: the first parameter of this name, decoded; else ``""``.

    >>> url_param("https://x.y/?a=1&utm_source=mail%20shot#top", "utm_source")
    'mail shot'
    """
    check_strings("url_param", url, name)
    query = url.partition("#")[0].partition("?")[2]
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name or unquote_plus(key) == name:
            return unquote_plus(value)
    return ""
