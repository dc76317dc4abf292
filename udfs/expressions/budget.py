"""The work of one evaluation, counted in steps of some 0.2 µs."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, TypeAlias

from udfs.expressions.kinds import FALSE_KEY, TRUE_KEY
from udfs.expressions.limits import MAX_STEPS
from udfs.expressions.values import EvaluationError, key_value, refuse

Budget: TypeAlias = list[Any]
"""The steps that an evaluation has left, and the last pattern that came from data."""

_CHARACTERS_PER_STEP = 16  # scanning text is that much cheaper than a turn of a macro


class OutOfStepsError(EvaluationError):
    """The evaluation took too long; this ends all of it, whatever an operand decides."""


def spend(budget: Budget, steps: int) -> None:
    """Takes steps away.

    Raises:
        OutOfStepsError: None are left.
    """
    budget[0] -= steps
    if budget[0] < 0:
        raise OutOfStepsError(f"more than {MAX_STEPS} steps")


def turns(budget: Budget, over: Any, cost: int) -> Any:
    """The elements that a macro visits, paid for; of a map the keys.

    Args:
        budget: What is left.
        over: The list or map.
        cost: Steps of one turn.

    Returns:
        What to go through.
    """
    if over.__class__ not in (list, tuple, dict):
        refuse("a macro", over)
    spend(budget, len(over) * cost)
    if over.__class__ is dict and (TRUE_KEY in over or FALSE_KEY in over):
        return [key_value(key) for key in over]
    return over


def charge(budget: Budget, operand: Any) -> Any:
    """Counts the size of what an operator inside a macro has to walk through."""
    if isinstance(operand, str | bytes):
        spend(budget, len(operand) // _CHARACTERS_PER_STEP)
    elif isinstance(operand, Sized):
        spend(budget, len(operand))
    return operand
