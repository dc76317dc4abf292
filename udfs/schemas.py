"""JSON Schemas that ship with the packages, and the faults they find."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any, Final

import jsonschema
import jsonschema_rs
import msgspec

from udfs.errors import Fault

_DEEPEST: Final = 100
"""Levels of lists and objects that the quick validator is given: it would end the process with a
hundred thousand of them."""


def depth(value: Any, most: int) -> int:
    """Count the levels of lists and objects in a value, up to one more than allowed.

    Args:
        value: What was decoded from JSON.
        most: How many are allowed.
    """
    level, found = [value], 0
    while level and found <= most:
        found += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
        level = [item for item in inner if isinstance(item, Mapping | list | tuple)]
    return found


class Validator:
    """Checks values; quickly if they are right.

    Attributes:
        schema: The JSON Schema.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self._exact = jsonschema.Draft202012Validator(schema)
        self._quick = jsonschema_rs.Draft202012Validator(schema)

    def iter_errors(self, value: Any) -> Iterator[Any]:
        """Give the errors as `jsonschema` tells them."""
        try:
            right = depth(value, _DEEPEST) <= _DEEPEST and self._quick.is_valid(value)
        except ValueError:  # a number or a type that JSON does not have
            right = False
        return iter(()) if right else self._exact.iter_errors(value)

    def is_valid(self, value: Any) -> bool:
        """Whether there is no error."""
        return next(self.iter_errors(value), None) is None

    def validate(self, value: Any) -> None:
        """Raise the first error, if there is any.

        Raises:
            jsonschema.ValidationError: It.
        """
        for error in self.iter_errors(value):
            raise error


@functools.cache
def validator(package: str, name: str) -> Validator:
    """Give the validator of a schema file inside a package.

    Args:
        package: For example ``udfs.decisions``.
        name: For example ``flow.schema.json``.
    """
    text = resources.files(package).joinpath(name).read_bytes()
    return Validator(msgspec.json.decode(text))


def json_path(where: str, path: Iterable[str | int]) -> str:
    """Append keys and positions to a JSON path.

    >>> json_path("flows[0]", ["logic", 1, "be"])
    'flows[0].logic[1].be'
    """
    for part in path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return where


def schema_faults(package: str, name: str, value: Any, where: str) -> list[Fault]:
    """Check a value and give all its faults.

    Args:
        package: Package of the schema file.
        name: Its name.
        value: What was decoded from JSON.
        where: JSON path of the value.
    """
    if depth(value, _DEEPEST) > _DEEPEST:
        problem = f"nested deeper than {_DEEPEST} levels"
        return [Fault(where, problem, f"see {package.replace('.', '/')}/{name}")]
    faults = []
    for error in validator(package, name).iter_errors(value):
        # Of alternatives the one that came furthest says most.
        deepest = jsonschema.exceptions.best_match([error]) or error
        faults.append(
            Fault(
                json_path(where, deepest.absolute_path),
                deepest.message[:500],
                f"see {package.replace('.', '/')}/{name}",
            )
        )
    return sorted(faults, key=lambda fault: fault.where)
