"""JSON in files, read strictly, and faults with the file they are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NoReturn

from udfs.errors import ConfigInvalid, Fault
from udfs.terminal.wording import printable

MAX_BYTES: Final = 64 << 20
"""Longest file that is read: no config comes near, and a device never ends."""


def in_file(error: ConfigInvalid, name: str, place: str, *, alone: bool) -> ConfigInvalid:
    """Give the faults of a list that lies in a file, each with the file's name.

    Args:
        error: With the faults.
        name: Of the file.
        place: JSON path of the list.
        alone: The file holds the only member of the list, not the list.
    """
    return ConfigInvalid(
        [
            Fault(
                printable(
                    f"{name}: "
                    + (fault.where.replace(f"{place}[0]", place, 1) if alone else fault.where)
                ),
                fault.problem,
                fault.cure,
            )
            for fault in error.faults
        ]
    )


def read_json(path: Path) -> Any:
    """Read a file of JSON strictly.

    Args:
        path: Of the file.

    Raises:
        ConfigInvalid: It cannot be read or is no JSON in UTF-8.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        refuse(name, f"cannot be read: {reason}", "name a file with JSON")
    if len(raw) > MAX_BYTES:
        refuse(name, f"has more than {MAX_BYTES} bytes", "split it")
    return parse_json(raw, name)


def parse_json(raw: bytes, name: str) -> Any:
    """Parse JSON strictly: no repeated keys, no NaN.

    >>> parse_json(b'{"a": 1}', "x.json")
    {'a': 1}

    Args:
        raw: The text in UTF-8.
        name: Of the file, for messages.

    Raises:
        ConfigInvalid: It is none.
    """
    if not raw.strip():
        refuse(name, "is empty", "write JSON")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {raw[error.start]:#04x} at {error.start}"
        refuse(name, problem, "save it as UTF-8")
    except UnicodeEncodeError:
        refuse(name, "has half of a surrogate pair", "write the whole character")
    except RecursionError:
        refuse(name, "is nested too deeply to be read", "groups in groups in groups are enough")
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        refuse(place, f"is no JSON: {error.msg}", "mend it there")
    except ValueError as error:
        refuse(name, f"is no strict JSON: {error}", "mend it there")
    return value


def shown(value: Any) -> str:
    """Give a value as it fits into one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - fits one line


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} stands twice in one object")
            seen.add(key)
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def refuse(where: str, problem: str, cure: str) -> NoReturn:
    """Raise a fault."""
    raise ConfigInvalid([Fault(where, problem, cure)])
