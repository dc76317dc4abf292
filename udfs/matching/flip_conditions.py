"""The conditions of Flink's dynamic CEP: expressions, and classes that join others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from udfs.errors import ExpressionInvalid
from udfs.matching.aviator import literal, translate
from udfs.matching.reading import Nothing, Reading

MAX_NESTED: Final = 20
"""Conditions inside each other."""

_JOINS: Final = {"RichAndCondition": " && ", "RichOrCondition": " || "}


class Conditions(Reading):
    """Translates conditions.

    Args:
        fields: CEL for names; other names are properties.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self.fields = fields

    def condition(self, value: Any, where: str) -> tuple[str, str | None]:
        """Give CEL and event type; of a condition that cannot be translated the fault."""
        if value is None:
            return "", None
        if where.count(".nestedConditions") > MAX_NESTED:
            self.fault(where, f"nested deeper than {MAX_NESTED} levels", "write it in CEL by hand")
            return "", None
        value = self.object(value, where)
        if isinstance(value, Nothing):
            return "", None
        kind = value.get("type")
        if kind in ("AVIATOR", "GROOVY"):
            return self._expression(value, kind, where)
        name = str(value.get("className", "")).rpartition(".")[2]
        nested = value.get("nestedConditions")
        if name in _JOINS and isinstance(nested, list) and nested:
            return self._joined(nested, _JOINS[name], f"{where}.nestedConditions"), None
        if kind == "CLASS":
            problem = f"the Java class {self.shown(value.get('className'))} cannot be translated"
            self.fault(f"{where}.className", problem, "write what it tests in CEL, as 'where'")
        else:
            problem = f"{self.shown(kind)} is no type of condition"
            self.fault(f"{where}.type", problem, "AVIATOR or GROOVY with an expression")
        return "", None

    def _expression(
        self, value: Mapping[str, Any], language: str, where: str
    ) -> tuple[str, str | None]:
        text = self.text(value, "expression", where)
        if text:
            try:
                found = translate(text, language, self.fields, f"{where}.expression")
            except ExpressionInvalid as error:
                self.faults += error.faults
            else:
                return found.text, found.event
        return "", None

    def _joined(self, nested: list[Any], operator: str, where: str) -> str:
        parts = []
        for index, one in enumerate(nested):
            text, event = self.condition(one, f"{where}[{index}]")
            both = [f"event_type == {literal(event)}"] if event is not None else []
            parts.append("(" + " && ".join([*both, *([text] if text else [])]) + ")")
        return operator.join(parts)
