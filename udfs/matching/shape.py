"""The shape of a rule: what the JSON Schema finds, in words of the DSL."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from udfs.errors import Fault
from udfs.schemas import depth, json_path, validator

# Read at import: the folder that the code was shipped to may be gone later.
_SCHEMA: Final = validator("udfs.matching", "rule.schema.json")

MAX_DEPTH: Final = 16
"""Levels of lists and objects in a rule, two for a group: Python's recursion ends somewhere."""

_LONGEST: Final = 100  # of a key in a message
_LONGEST_VALUE: Final = 80  # fits one line

_HARMLESS: Final[Mapping[str, Any]] = {
    "rule": "",
    "version": 1,
    "within": "1d",
    "times": "2+",
    "max": "1ms",
}
"""What stands for a bad value, so that nothing else is blamed for it."""

Path: TypeAlias = tuple[str | int, ...]


def shape_faults(rule: Any, where: str) -> tuple[list[Fault], Mapping[str, Any] | None]:
    """Give the faults of a rule's shape, and the rule without them.

    The rule is itself if it has no fault, None if nothing can be made of it.
    """
    if depth(rule, MAX_DEPTH) > MAX_DEPTH:
        problem = f"nested deeper than {MAX_DEPTH} levels"
        return [Fault(where, problem, "groups in groups in groups are enough")], None
    faults: list[Fault] = []
    bad: set[Path] = set()
    for error in _SCHEMA.iter_errors(rule):
        for path, problem, cure in _told(error):
            bad.add(path)
            faults.append(Fault(json_path(where, path), problem, cure))
    if not faults:
        return [], rule
    # A value that is wrong in two ways is one fault.
    faults = sorted(dict.fromkeys(faults), key=lambda fault: fault.where)
    hopeless = bad & {(), ("pattern",)}
    return faults, None if hopeless else _mended(rule, bad)


def _told(error: Any) -> list[tuple[Path, str, str]]:
    """Give path, problem and cure of what one error of the schema says."""
    path = tuple(error.absolute_path)
    schema = error.schema
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        found = []
        for key in error.instance:
            if key not in schema["properties"]:
                name = str(key)[:_LONGEST]
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                found.append(((*path, name), "unknown key", hint))
        return found
    if error.validator == "required":
        return [
            ((*path, key), "missing", str(schema["properties"][key]["description"]))
            for key in error.validator_value
            if key not in error.instance
        ]
    if error.validator == "anyOf":
        # Only steps have alternatives: a step needs a name, a group its steps.
        return [((*path, "step"), "missing", schema["properties"]["step"]["description"])]
    cure = schema.get("description", "see udfs/matching/rule.schema.json")
    return [(path, f"{_shown(error.instance)} is not allowed here", cure)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _mended(rule: Mapping[str, Any], bad: set[Path]) -> dict[str, Any]:
    """Give a rule with harmless values in place of the bad ones."""

    def mend(value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            names = {inner[-1] for inner in bad if inner[:-1] == path}
            good = {
                key: mend(item, (*path, key))
                for key, item in value.items()
                if str(key)[:_LONGEST] not in names
            }
            good |= {key: item for key, item in _HARMLESS.items() if key in names}
            return good
        if isinstance(value, list | tuple) and path[-1] in ("pattern", "steps"):
            return [step(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def step(value: Any, path: Path) -> dict[str, Any]:
        name = "step_" + "_".join(str(part) for part in path if isinstance(part, int)) + "_"
        good = {} if path in bad else mend(value, path)
        return {"step": name, **good}

    mended: dict[str, Any] = mend(rule, ())
    return mended
