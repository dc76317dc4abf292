"""CEL's errors in logic: an error loses against the operand that decides.

The operands come as functions, so that each can fail on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, TypeAlias

from udfs.expressions.limits import MAX_STEPS
from udfs.expressions.values import EvaluationError, check_bool, refuse

Budget: TypeAlias = list[int]
"""One number: the steps that an evaluation has left."""

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

_CHARACTERS_PER_STEP = 16  # scanning text is that much cheaper than a turn of a macro


class OutOfStepsError(EvaluationError):
    """The evaluation took too long; this ends all of it, whatever an operand decides."""


def conjunction(*operands: Callable[[], Any]) -> bool:
    """``a && b && …``: false if one is false, else the first error, else true."""
    return _decide(operands, decisive=False)


def disjunction(*operands: Callable[[], Any]) -> bool:
    """``a || b || …``: true if one is true, else the first error, else false."""
    return _decide(operands, decisive=True)


def _decide(operands: tuple[Callable[[], Any], ...], *, decisive: bool) -> bool:
    failure: Exception | None = None
    for operand in operands:
        try:
            if check_bool(operand()) is decisive:
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


def turns(budget: Budget, over: Any, cost: int) -> Any:
    """The elements that a macro visits, paid for; of a map the keys.

    Args:
        budget: What is left.
        over: The list or map.
        cost: Steps of one turn.

    Returns:
        The list or map.
    """
    if over.__class__ not in (list, tuple, dict):
        refuse("a macro", over)
    _spend(budget, len(over) * cost)
    return over


def _spend(budget: Budget, steps: int) -> None:
    budget[0] -= steps
    if budget[0] < 0:
        raise OutOfStepsError(f"more than {MAX_STEPS} steps in macros")


def charge(budget: Budget, operand: Any) -> Any:
    """Counts the size of what an operator inside a macro has to walk through."""
    if isinstance(operand, str | bytes):
        _spend(budget, len(operand) // _CHARACTERS_PER_STEP)
    elif isinstance(operand, Sized):
        _spend(budget, len(operand))
    return operand


def for_all(over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.all(x, p)``; ``over`` comes from `turns`."""
    return _fold(over, predicate, decisive=False)


def exists(over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.exists(x, p)``."""
    return _fold(over, predicate, decisive=True)


def _fold(over: Any, predicate: Callable[[Any], Any], *, decisive: bool) -> bool:
    failure: Exception | None = None
    for element in over:
        try:
            if check_bool(predicate(element)) is decisive:
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


def exists_one(over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.exists_one(x, p)``: errors are not absorbed."""
    return sum(check_bool(predicate(element)) for element in over) == 1


def transform(
    over: Any,
    make: Callable[[Any], Any],
    predicate: Callable[[Any], Any] | None = None,
) -> list[Any]:
    """``list.map(x, t)``, ``list.map(x, p, t)`` and ``list.filter(x, p)``."""
    if predicate is None:
        return [make(element) for element in over]
    return [make(element) for element in over if check_bool(predicate(element))]
