"""Rules as they lie in files: one rule, a list of rules, or a part of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from udfs.errors import ConfigInvalid
from udfs.matching.machine import Machine
from udfs.matching.stream import Stream
from udfs.terminal.json_files import in_file, read_json, refuse, shown


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


def read_rules(path: Path) -> RuleFile:
    """Read the rules of a file; they are not checked yet.

    Args:
        path: Of a file with JSON.

    Raises:
        ConfigInvalid: The file cannot be read, or has no rules in it.
    """
    return rules_of(str(path), read_json(path))


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
        problem = f"{shown(value)} is neither a rule nor a list of rules"
        refuse(f"{name}: $", problem, "write an object or a list")
    if "nodes" in value and "edges" in value:
        problem = "this is a pattern of Flink's dynamic CEP"
        refuse(f"{name}: $", problem, "translate it with 'millrace rules import'")
    if "rules" not in value or "pattern" in value:
        return RuleFile(name, [value], "$", alone=True)
    rules = value["rules"]
    if isinstance(rules, dict) and "uri" in rules:
        problem = f"the rules lie elsewhere: {shown(rules['uri'])}"
        refuse(f"{name}: $.rules", problem, "give that file")
    if not isinstance(rules, list):
        refuse(f"{name}: $.rules", f"{shown(rules)} is no list of rules", "write a list")
    return RuleFile(name, rules, "$.rules", alone=False)
