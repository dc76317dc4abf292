"""JSON as a config may hold it: stricter than Python's reader, with the place of every fault.

Refused beyond what ``json`` refuses: an object that names a key twice (readers differ in which
one they keep), ``NaN`` and infinities, numbers outside 64 bits, halves of surrogate pairs, and
nesting deeper than :data:`MAX_DEPTH`. What passes can be written as UTF-8 JSON or MessagePack
and read back equal.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from udfs.errors import ConfigInvalid, Fault

MAX_DEPTH = 100  # of lists and objects; a rule has about 10
_INT64 = 1 << 63


class _Twice(dict[str, Any]):
    """An object in whose text some keys stand more than once."""

    def __init__(self, value: dict[str, Any], keys: list[str]) -> None:
        super().__init__(value)
        self.keys_twice = keys


class _RefusedError(ValueError):
    """A literal that JSON does not know or that does not fit."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for key, _ in pairs:
        if key in seen:
            twice[key] = None
        seen.add(key)
    return _Twice(value, list(twice))


def _constant(text: str) -> NoReturn:
    raise _RefusedError(f"{text} is not a JSON number")


def _integer(text: str) -> int:
    # 20 characters hold every 64-bit number; longer ones would cost quadratic time to convert.
    if len(text) > 20 or not -_INT64 <= (value := int(text)) < _INT64:  # noqa: PLR2004 - said above
        shown = text if len(text) <= 24 else f"{text[:20]}… ({len(text)} digits)"  # noqa: PLR2004
        raise _RefusedError(f"{shown} does not fit 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _RefusedError(f"{text[:24]} is larger than a double can be")
    return value


def parse(text: str, where: str = "$") -> Any:
    """Read a JSON text.

    Args:
        text: The whole text.
        where: Path put before the place of a fault.

    Returns:
        Lists, dicts and scalars.

    Raises:
        ConfigInvalid: Not JSON (``where:line:column``), or with the faults above; all keys that
            stand twice are listed.
    """
    value, faults = scan(text, where)
    if faults:
        raise ConfigInvalid(faults)
    return value


def scan(text: str, where: str = "$") -> tuple[Any, list[Fault]]:
    """Like :func:`parse`, for a reader that has faults of its own to add.

    Returns:
        The value, and the faults that do not keep it from being looked at. It must not be used
        if there are any.

    Raises:
        ConfigInvalid: There is no value at all.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise ConfigInvalid([Fault(place, f"not JSON: {error.msg}", "mend the text")]) from None
    except _RefusedError as error:
        raise ConfigInvalid([Fault(where, f"not JSON: {error}", "use another value")]) from None
    except RecursionError:
        raise ConfigInvalid([_too_deep(where)]) from None
    faults: list[Fault] = []
    _walk(value, where, 0, faults)
    return value, faults


def _too_deep(where: str) -> Fault:
    return Fault(where, f"nested deeper than {MAX_DEPTH} levels", "flatten it")


def path(parent: str, key: str | int) -> str:
    """The JSON path of a child: ``path("$", "rules")`` is ``rules``, then ``rules[0]``.

    >>> path(path(path("$", "rules"), 0), "where")
    'rules[0].where'
    """
    if isinstance(key, int):
        return f"{parent}[{key}]"
    return key if parent == "$" else f"{parent}.{key}"


def _walk(value: Any, where: str, depth: int, faults: list[Fault]) -> None:
    if depth > MAX_DEPTH:
        faults.append(_too_deep(where))
    elif isinstance(value, dict):
        if isinstance(value, _Twice):
            faults.extend(
                Fault(path(where, _shown(key)), "the key stands twice", "keep one of them")
                for key in value.keys_twice
            )
        for key, item in value.items():
            if not _encodable(key):
                faults.append(_surrogate(where))
            _walk(item, path(where, _shown(key)), depth + 1, faults)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, path(where, index), depth + 1, faults)
    elif isinstance(value, str) and not _encodable(value):
        faults.append(_surrogate(where))


def _surrogate(where: str) -> Fault:
    return Fault(where, "half of a surrogate pair", "write the whole character")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(key: str) -> str:
    """A key as it may stand in a message: printable and not too long."""
    text = key.encode(errors="replace").decode()
    return text if len(text) <= 64 else f"{text[:60]}…"  # noqa: PLR2004 - room for any real name
