"""Reading JSON of somebody else's format: every fault with its path, and something to go on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from udfs.errors import Fault

T = TypeVar("T")

_LONGEST: Final = 80  # of a value in a message: fits one line


class Nothing(dict[str, Any]):
    """What stands for a bad object: whatever is asked of it is nothing, and no further fault."""

    def get(self, key: str, default: Any = None) -> Any:
        """Give nothing again."""
        del key, default
        return self


class Reading:
    """Gives values of the wanted kind, harmless ones in place of bad ones.

    Attributes:
        faults: What was wrong so far.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, where: str, problem: str, cure: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(where, problem, cure))

    @staticmethod
    def shown(value: Any) -> str:
        """Give a value as it may stand in a message."""
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."

    def object(self, value: Any, where: str) -> Mapping[str, Any]:
        """Give an object."""
        if isinstance(value, Mapping):
            return value
        self.fault(where, f"{self.shown(value)} is no object", "write an object")
        return Nothing()

    def known(self, value: Mapping[str, Any], names: Sequence[str], where: str) -> None:
        """Note keys that mean nothing."""
        for key in value:
            if key not in names:
                near = difflib.get_close_matches(key[:_LONGEST], names, n=1)
                cure = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
                self.fault(f"{where}.{key[:_LONGEST]}", "unknown key", cure)

    def text(self, value: Mapping[str, Any], key: str, where: str) -> str:
        """Give a text that is not empty."""
        found = value.get(key)
        if isinstance(found, str) and found:
            return found
        if value.__class__ is Nothing:
            return ""
        problem = "missing" if key not in value else f"{self.shown(found)} is no text"
        self.fault(f"{where}.{key}", problem, "write a text")
        return ""

    def list(self, value: Mapping[str, Any], key: str, where: str) -> list[Any]:
        """Give a list."""
        found = value.get(key)
        if isinstance(found, list):
            return found
        if value.__class__ is Nothing:
            return []
        problem = "missing" if key not in value else f"{self.shown(found)} is no list"
        self.fault(f"{where}.{key}", problem, "write a list")
        return []

    def integer(self, value: Mapping[str, Any], key: str, where: str) -> int:
        """Give an integer from 0."""
        found = value.get(key)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 53:
            return found
        if value.__class__ is Nothing:
            return 1
        problem = "missing" if key not in value else f"{self.shown(found)} is no integer from 0"
        self.fault(f"{where}.{key}", problem, "write an integer")
        return 1

    def choice(
        self, value: Mapping[str, Any], key: str, where: str, among: Mapping[str, T]
    ) -> T | Any:
        """Give what one of some words stands for, None if it is none of them."""
        found = value.get(key)
        if isinstance(found, str) and found in among:
            return among[found]
        if value.__class__ is Nothing:
            return None
        problem = "missing" if key not in value else f"{self.shown(found)} is not known"
        self.fault(f"{where}.{key}", problem, f"one of {', '.join(among)}")
        return None
