"""Why bytes or a dictionary are no event: reason, path and words. Off the hot path."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from udfs.errors import InvalidEvent

MAX_DEPTH: Final = 64
"""Levels of lists and maps inside ``props``. A fixed number: Python's own limit depends on
how deep the caller stands, and the same bytes must get the same answer everywhere."""

_INT64: Final = range(-(2**63), 2**63)
_PATH: Final = re.compile(r"(.*) - at `(\$.*)`", re.DOTALL)
_LONGEST_KEY: Final = 100
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

Path: TypeAlias = tuple[str | int, ...]


def explain(error: Exception) -> InvalidEvent:
    """Turn an error of the JSON decoder into a refusal.

    Args:
        error: What msgspec raised while it decoded or converted an event.

    Returns:
        The refusal, to be raised.
    """
    text = str(error)
    if isinstance(error, RecursionError):
        return InvalidEvent("too_deep", "$", "lists and maps are nested too deep")
    if not isinstance(error, msgspec.ValidationError):
        return InvalidEvent("broken_json", "$", text)
    unknown, missing = "Object contains unknown field `", "Object missing required field `"
    if text.startswith(unknown):
        name = text.removeprefix(unknown)[:-1]
        return InvalidEvent(
            "unknown_field", where((name,)), "the standard event has no such field; use props"
        )
    if text.startswith(missing):
        name = text.removeprefix(missing)[:-1]
        return InvalidEvent("missing_field", where((name,)), "the field is absent")
    found = _PATH.fullmatch(text)
    problem, path = (found[1], found[2]) if found else (text, "$")
    return InvalidEvent(_reason(problem, path), path, problem)


def _reason(problem: str, path: str) -> str:
    if problem.startswith("Expected `str` of length"):
        return "missing_field"
    if "out of range" in problem or problem.startswith(("Expected `int` <=", "Expected `int` >=")):
        return "out_of_range"
    # Every kind of JSON value is welcome in props, so only the depth can have been wrong.
    return "too_deep" if path.startswith("$.props[") else "wrong_type"


def parse_leniently(raw: bytes) -> Any:
    """Read JSON with numbers of any size and lone surrogates, to find out where they are.

    Raises:
        ValueError: Not UTF-8 or not JSON even so.
        RecursionError: Nested too deep.
    """
    return json.loads(raw.decode(), parse_int=_any_int, parse_constant=_no_constant)


def _any_int(digits: str) -> int:
    # Python refuses to read more than 4,300 digits; out of range is out of range.
    return int(digits) if len(digits) < _LONGEST_KEY else 2**64


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def checked_props(props: Any, *, nonfinite: bool) -> dict[str, Any]:
    """Copy ``props``, refusing what an event cannot hold.

    Args:
        props: The value of the field.
        nonfinite: Whether NaN and infinities may pass.

    Returns:
        The copy.

    Raises:
        InvalidEvent: With the exact path.
    """
    if not isinstance(props, Mapping):
        raise InvalidEvent("wrong_type", "$.props", f"Expected `object`, got {_kind(props)}")
    copy: dict[str, Any] = _checked(props, ("props",), nonfinite=nonfinite)
    return copy


def _checked(value: Any, path: Path, *, nonfinite: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in _INT64:
            raise InvalidEvent("out_of_range", where(path), "the integer does not fit in 64 bits")
        return value
    if isinstance(value, float):
        if not nonfinite and value - value != 0.0:
            raise InvalidEvent("out_of_range", where(path), "the number does not fit in 64 bits")
        return value
    if isinstance(value, str):
        return checked_text(value, path)
    if len(path) > MAX_DEPTH:
        raise InvalidEvent("too_deep", "$.props", f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [_checked(x, (*path, i), nonfinite=nonfinite) for i, x in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            checked_text(key, path): _checked(x, (*path, key), nonfinite=nonfinite)
            for key, x in value.items()
        }
    raise InvalidEvent("wrong_type", where(path), f"{_kind(value)} is not a JSON value")


def checked_text(text: Any, path: Path) -> str:
    """Give back a string that UTF-8 can hold; refuse anything else."""
    if not isinstance(text, str):
        raise InvalidEvent("wrong_type", where(path), f"a key is {_kind(text)}, not a string")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("bad_text", where(path), "the text holds a lone surrogate") from None
    return text


def _kind(value: object) -> str:
    return f"`{type(value).__name__}`"


def where(path: Path) -> str:
    """Write a path as text: ``$.props.cart[2]``, or ``$.props["no name"]``."""
    return "$" + "".join(map(_part, path))


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{json.dumps(part[:_LONGEST_KEY])}]"
