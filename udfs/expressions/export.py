"""What leaves an expression: JSON's kinds, as protobuf maps CEL's to them."""

from __future__ import annotations

from typing import Any

from udfs.expressions.conversions import text_of
from udfs.expressions.kinds import Duration, Timestamp, TypeValue, UInt
from udfs.expressions.values import key_value


def export(value: Any) -> Any:
    """A value without kinds that only the language has.

    Args:
        value: Any result.

    Returns:
        The same; of a uint the int, of a timestamp, a duration and a type the text, of a
        map that with the texts of its keys.
    """
    kind = value.__class__
    if kind is UInt:
        return int(value)
    if kind is Timestamp or kind is Duration:
        return text_of(value)
    if kind is TypeValue:
        return value.name
    if kind is list:
        return [export(element) for element in value]
    if kind is dict:
        return {text_of(key_value(key)): export(element) for key, element in value.items()}
    return value
