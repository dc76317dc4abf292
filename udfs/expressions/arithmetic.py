"""CEL's arithmetic: 64-bit integers that never wrap, IEEE doubles, never one with the other."""

from __future__ import annotations

import math
from typing import Any

from udfs.expressions.values import EvaluationError, check_int, is_number, refuse


def add(left: Any, right: Any) -> Any:
    """``+``: numbers of one kind, or strings, bytes or lists put together."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is int:
            return check_int(left + right)
        if kind in (float, str, bytes, list):
            return left + right
    if kind in (list, tuple) and right.__class__ in (list, tuple):
        return [*left, *right]
    return refuse("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """``-``."""
    if left.__class__ is int and right.__class__ is int:
        return check_int(left - right)
    if left.__class__ is float and right.__class__ is float:
        return left - right
    return refuse("-", left, right)


def multiply(left: Any, right: Any) -> Any:
    """``*``."""
    if left.__class__ is int and right.__class__ is int:
        return check_int(left * right)
    if left.__class__ is float and right.__class__ is float:
        return left * right
    return refuse("*", left, right)


def divide(left: Any, right: Any) -> Any:
    """``/``: integers towards zero; doubles as IEEE has it, so 1.0 / 0.0 is infinite."""
    if left.__class__ is int and right.__class__ is int:
        if right == 0:
            raise EvaluationError("division by zero")
        quotient = abs(left) // abs(right)
        return check_int(quotient if (left < 0) == (right < 0) else -quotient)
    if left.__class__ is float and right.__class__ is float:
        if right != 0.0:
            return left / right
        if left == 0.0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1.0, right)
    return refuse("/", left, right)


def modulo(left: Any, right: Any) -> Any:
    """``%``: integers only; the sign is the left one's."""
    if left.__class__ is int and right.__class__ is int:
        if right == 0:
            raise EvaluationError("modulo by zero")
        if right == -1:
            check_int(-left)  # the smallest integer has no quotient, so it has no remainder
        remainder = abs(left) % abs(right)
        return remainder if left >= 0 else -remainder
    return refuse("%", left, right)


def negate(operand: Any) -> Any:
    """``-x``."""
    if operand.__class__ is int:
        return check_int(-operand)
    return -operand if operand.__class__ is float else refuse("-", operand)


def greatest(left: Any, right: Any) -> Any:
    """``max(a, b)`` of two numbers, each of its own kind; NaN if one of them is."""
    if not (is_number(left) and is_number(right)):
        return refuse("max", left, right)
    return left if left >= right or left != left else right  # noqa: PLR0124 - NaN


def least(left: Any, right: Any) -> Any:
    """``min(a, b)`` of two numbers, each of its own kind; NaN if one of them is."""
    if not (is_number(left) and is_number(right)):
        return refuse("min", left, right)
    return left if left <= right or left != left else right  # noqa: PLR0124 - NaN
