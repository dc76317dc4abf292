"""CEL's errors in logic and macros: an error loses against the operand that decides."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from udfs.expressions.budget import OutOfStepsError
from udfs.expressions.values import EvaluationError, check_bool

FAILURES = (
    LookupError,  # first, for it is the most frequent: a missing key
    EvaluationError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What generated code may raise: each means that the expression has no value."""


def conjunction(*operands: Callable[[], Any]) -> bool:
    """``a && b && …``: false if one is false, else the first error, else true.

    The operands come as functions, so that each can fail on its own.
    """
    return _decide(operands, operator.call, decisive=False)


def disjunction(*operands: Callable[[], Any]) -> bool:
    """``a || b || …``: true if one is true, else the first error, else false."""
    return _decide(operands, operator.call, decisive=True)


def for_all(over: Iterable[Any], predicate: Callable[[Any], Any]) -> bool:
    """``list.all(x, p)``; ``over`` comes from `turns`."""
    return _decide(over, predicate, decisive=False)


def exists(over: Iterable[Any], predicate: Callable[[Any], Any]) -> bool:
    """``list.exists(x, p)``."""
    return _decide(over, predicate, decisive=True)


def _decide(over: Iterable[Any], test: Callable[[Any], Any], *, decisive: bool) -> bool:
    failure: Exception | None = None
    for element in over:
        try:
            if check_bool(test(element)) is decisive:
                return decisive
        except OutOfStepsError:
            raise
        except FAILURES as error:
            failure = failure or error.with_traceback(None)  # or frame and error keep each other
    if failure is not None:
        try:
            raise failure
        finally:
            del failure
    return not decisive


def exists_one(over: Iterable[Any], predicate: Callable[[Any], Any]) -> bool:
    """``list.exists_one(x, p)``: errors are not absorbed."""
    return sum([check_bool(predicate(element)) for element in over]) == 1


def transform(
    over: Iterable[Any],
    make: Callable[[Any], Any],
    predicate: Callable[[Any], Any] | None = None,
) -> list[Any]:
    """``list.map(x, t)``, ``list.map(x, p, t)`` and ``list.filter(x, p)``."""
    if predicate is None:
        return [make(element) for element in over]
    return [make(element) for element in over if check_bool(predicate(element))]
