"""Rules as they lie in files: one rule, a list of rules, or a part of a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from udfs.errors import ConfigInvalid, Fault
from udfs.matching.machine import Machine
from udfs.matching.stream import Stream
from udfs.matching.wording import printable

MAX_BYTES: Final = 64 << 20
"""Longest file that is read: no rule set comes near, and a device never ends."""


class RuleFile(msgspec.Struct, frozen=True):
    """The rules of one file.

    Args:
        name: Of the file, for messages.
        rules: As decoded from JSON.
        place: JSON path of the list.
        alone: Whether the file is one rule and not a list.
    """

    name: str
    rules: list[Any]
    place: str
    alone: bool

    def compile(self) -> Machine:
        """Compile the rules, with no cap of runs but what they say.

        Raises:
            ConfigInvalid: With all their faults, each with the file's name in its place.
        """
        return self.stream().machine

    def stream(self) -> Stream:
        """Give the rules ready to run.

        Raises:
            ConfigInvalid: As `compile`.
        """
        try:
            return Stream(self.rules, where=self.place)
        except ConfigInvalid as error:
            raise in_file(error, self.name, self.place, alone=self.alone) from None


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


def read_rules(path: Path) -> RuleFile:
    """Read the rules of a file; they are not checked yet.

    Args:
        path: Of a file with JSON.

    Raises:
        ConfigInvalid: The file cannot be read, or has no rules in it.
    """
    return rules_of(str(path), read_json(path))


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
        _refuse(name, f"cannot be read: {reason}", "name a file with JSON")
    if len(raw) > MAX_BYTES:
        _refuse(name, f"has more than {MAX_BYTES} bytes", "split it")
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
        _refuse(name, "is empty", "write a rule as JSON, see docs/rules.md")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {raw[error.start]:#04x} at {error.start}"
        _refuse(name, problem, "save it as UTF-8")
    except UnicodeEncodeError:
        _refuse(name, "has half of a surrogate pair", "write the whole character")
    except RecursionError:
        _refuse(name, "is nested too deeply to be read", "groups in groups in groups are enough")
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        _refuse(place, f"is no JSON: {error.msg}", "mend it there")
    except ValueError as error:
        _refuse(name, f"is no strict JSON: {error}", "mend it there")
    return value


def rules_of(name: str, value: Any) -> RuleFile:
    """Find the rules in what a file says.

    >>> rules_of("x.json", {"rule": "r"}).alone
    True
    >>> rules_of("x.json", {"revision": 3, "rules": []}).place
    '$.rules'

    Args:
        name: Of the file, for messages.
        value: As decoded from JSON.

    Raises:
        ConfigInvalid: There are none in it.
    """
    if isinstance(value, list):
        return RuleFile(name, value, "$", alone=False)
    if not isinstance(value, dict):
        problem = f"{_shown(value)} is neither a rule nor a list of rules"
        _refuse(f"{name}: $", problem, "write an object or a list")
    if "nodes" in value and "edges" in value:
        problem = "this is a pattern of Flink's dynamic CEP"
        _refuse(f"{name}: $", problem, "translate it with 'millrace rules import'")
    if "rules" not in value or "pattern" in value:
        return RuleFile(name, [value], "$", alone=True)
    rules = value["rules"]
    if isinstance(rules, dict) and "uri" in rules:
        problem = f"the rules lie elsewhere: {_shown(rules['uri'])}"
        _refuse(f"{name}: $.rules", problem, "give that file")
    if not isinstance(rules, list):
        _refuse(f"{name}: $.rules", f"{_shown(rules)} is no list of rules", "write a list")
    return RuleFile(name, rules, "$.rules", alone=False)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - fits one line


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {_shown(key)} stands twice in one object")
            seen.add(key)
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _refuse(where: str, problem: str, cure: str) -> NoReturn:
    raise ConfigInvalid([Fault(where, problem, cure)])
