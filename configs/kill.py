"""The kill switch: a namespace of its own, so that a refused manifest never holds it back.

``{"schema": 1, "flows": ["coupon"], "rules": [], "all": false}``; absent fields stop nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from configs import strict_json
from udfs.errors import ConfigInvalid, Fault

SCHEMA: Final = 1
_LISTS: Final = ("flows", "rules")
_KEYS: Final = ("schema", *_LISTS, "all")


class Kill(msgspec.Struct, frozen=True):
    """What is stopped now.

    Args:
        flows: Names of flows that decide nothing.
        rules: Names of rules whose matches start nothing.
        all: Every flow is stopped.
    """

    flows: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    all: bool = False

    def to_json(self) -> str:
        """The text to publish; :func:`parse_kill` reads it back."""
        value = {
            "schema": SCHEMA,
            "flows": sorted(self.flows),
            "rules": sorted(self.rules),
            "all": self.all,
        }
        return msgspec.json.encode(value).decode()


def parse_kill(text: str) -> Kill:
    """Read the kill switch.

    Args:
        text: Content of the namespace.

    Raises:
        ConfigInvalid: With all faults; what was stopped before stays stopped.
    """
    value = strict_json.parse(text)
    if not isinstance(value, dict):
        raise ConfigInvalid([Fault("$", "not an object", 'write {"schema": 1, "flows": []}')])
    faults = [
        Fault(strict_json.path("$", key), "unknown field", f"known are {', '.join(_KEYS)}")
        for key in value
        if key not in _KEYS
    ]
    schema = value.get("schema")
    if isinstance(schema, bool) or schema != SCHEMA or not isinstance(schema, int):
        faults.append(Fault("schema", "missing or not 1", "write 1"))
    if not isinstance(value.get("all", False), bool):
        faults.append(Fault("all", "neither true nor false", "write true or false"))
    for name in _LISTS:
        faults.extend(_names(name, value.get(name, [])))
    if faults:
        raise ConfigInvalid(faults)
    return Kill(
        flows=frozenset(value.get("flows", ())),
        rules=frozenset(value.get("rules", ())),
        all=value.get("all", False),
    )


def _names(where: str, names: Any) -> list[Fault]:
    if not isinstance(names, list):
        return [Fault(where, "not a list", 'write a list of names, e.g. ["coupon"]')]
    return [
        Fault(strict_json.path(where, index), "not a name", "write a non-empty text")
        for index, name in enumerate(names)
        if not isinstance(name, str) or not name
    ]
