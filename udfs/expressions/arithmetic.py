"""CEL's arithmetic: integers of 64 bits that never wrap, IEEE doubles, never one with another."""

from __future__ import annotations

import math
from typing import Any

from udfs.expressions.kinds import UInt
from udfs.expressions.limits import MAX_RESULT
from udfs.expressions.times import add_times, subtract_times
from udfs.expressions.values import EvaluationError, check_int, check_uint, is_number, refuse

_SEQUENCES = (str, bytes, list, tuple)


def add(left: Any, right: Any) -> Any:
    """``+``: numbers of one kind, or strings, bytes or lists put together; or times."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is int:
            return check_int(left + right)
        if kind is float:
            return left + right
        if kind is UInt:
            return check_uint(int(left) + int(right))
    if kind in _SEQUENCES and right.__class__ in _SEQUENCES:
        return _join(left, right)
    return add_times(left, right)


def _join(left: Any, right: Any) -> Any:
    size = len(left) + len(right)
    if size > MAX_RESULT:
        raise EvaluationError(f"+ would make {size} elements, at most {MAX_RESULT} can be made")
    kind = left.__class__
    if kind in (str, bytes):
        return left + right if right.__class__ is kind else refuse("+", left, right)
    return [*left, *right] if right.__class__ in (list, tuple) else refuse("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """``-``."""
    if left.__class__ is right.__class__:
        if left.__class__ is int:
            return check_int(left - right)
        if left.__class__ is float:
            return left - right
        if left.__class__ is UInt:
            return check_uint(int(left) - int(right))
    return subtract_times(left, right)


def multiply(left: Any, right: Any) -> Any:
    """``*``."""
    if left.__class__ is int and right.__class__ is int:
        return check_int(left * right)
    if left.__class__ is float and right.__class__ is float:
        return left * right
    if left.__class__ is UInt and right.__class__ is UInt:
        return check_uint(int(left) * int(right))
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
    if left.__class__ is UInt and right.__class__ is UInt:
        if right == 0:
            raise EvaluationError("division by zero")
        return UInt(int(left) // int(right))
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
    if left.__class__ is UInt and right.__class__ is UInt:
        if right == 0:
            raise EvaluationError("modulo by zero")
        return UInt(int(left) % int(right))
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


def log1p(value: Any) -> float:
    """``log1p(x)``: the natural logarithm of 1 + x; an error from -1 down."""
    if value.__class__ not in (int, float):
        return refuse("log1p", value)
    if value <= -1:
        raise EvaluationError(f"log1p({value}): the number must be above -1")
    return math.log1p(value)


def bucket(value: Any, bounds: Any) -> int:
    """``bucket(x, bounds)``: how many of the ascending bounds are at most x."""
    if value.__class__ not in (int, float) or bounds.__class__ not in (list, tuple):
        return refuse("bucket", value, bounds)
    if value != value:  # noqa: PLR0124 - NaN
        raise EvaluationError("bucket(): NaN lies nowhere")
    found, before = 0, None
    for bound in bounds:
        if not is_number(bound):
            return refuse("bucket", value, bounds)
        if before is not None and not before < bound:
            raise EvaluationError(f"bucket(): {before} and {bound} do not ascend")
        before = bound
        found += bound <= value
    return found
