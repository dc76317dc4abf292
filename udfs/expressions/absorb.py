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
    EvaluationError,
    ArithmeticError,
    AttributeError,
    LookupError,
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
            failure = failure or error
    if failure is not None:
        raise failure
    return not decisive


def _elements(budget: Budget, over: Any) -> Any:
    if over.__class__ not in (list, tuple, dict):
        refuse("a macro", over)
    _spend(budget, len(over))
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


def for_all(budget: Budget, over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.all(x, p)``."""
    return _fold(budget, over, predicate, decisive=False)


def exists(budget: Budget, over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.exists(x, p)``."""
    return _fold(budget, over, predicate, decisive=True)


def _fold(budget: Budget, over: Any, predicate: Callable[[Any], Any], *, decisive: bool) -> bool:
    failure: Exception | None = None
    for element in _elements(budget, over):
        try:
            if check_bool(predicate(element)) is decisive:
                return decisive
        except OutOfStepsError:
            raise
        except FAILURES as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return not decisive


def exists_one(budget: Budget, over: Any, predicate: Callable[[Any], Any]) -> bool:
    """``list.exists_one(x, p)``: errors are not absorbed."""
    return sum(check_bool(predicate(element)) for element in _elements(budget, over)) == 1


def transform(
    budget: Budget,
    over: Any,
    make: Callable[[Any], Any],
    predicate: Callable[[Any], Any] | None = None,
) -> list[Any]:
    """``list.map(x, t)``, ``list.map(x, p, t)`` and ``list.filter(x, p)``."""
    elements = _elements(budget, over)
    if predicate is None:
        return [make(element) for element in elements]
    return [make(element) for element in elements if check_bool(predicate(element))]
