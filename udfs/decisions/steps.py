"""Steps of a flow's logic."""

from __future__ import annotations

from typing import NamedTuple

from udfs.expressions import Expression


class Let(NamedTuple):
    """Names the value of an expression.

    Args:
        name: What later steps call it.
        be: The expression; null if it has an error.
        where: JSON path inside the flow.
    """

    name: str
    be: Expression
    where: str


class Score(NamedTuple):
    """Asks a model.

    Args:
        name: ``score.NAME`` in later steps.
        model: Name of the model.
        when: Only if this holds, or None.
        default: The score where the model gives none.
    """

    name: str
    model: str
    when: Expression | None
    default: float | None


Step = Let | Score
