"""Constants out of the code: texts that differ only in them share what Python compiled.

A thousand rules compare the same few properties with a thousand numbers. Compiling Python takes
most of the time of compiling an expression, and is done once for each shape.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from udfs.expressions.comparisons import ORDER
from udfs.expressions.terms import Apply, Lifted, Literal

if TYPE_CHECKING:
    from udfs.expressions.terms import Term

Value: TypeAlias = int | float | str

_THROUGH: Final = frozenset(("_&&_", "_||_", "!_"))


def lift(term: Term, values: list[Value]) -> Term:
    """Take the numbers out of ``<`` and its kin, and texts out of ``==`` and ``!=``.

    Args:
        term: Anything; only comparisons joined by ``&&``, ``||`` and ``!`` are looked through.
        values: Gets what was taken out.

    Returns:
        The term with `Lifted` in its place, numbered by the place in `values`.
    """
    if not isinstance(term, Apply):
        return term
    if term.function in _THROUGH:
        return replace(term, args=tuple(lift(arg, values) for arg in term.args))
    if term.function in ORDER:
        return replace(term, args=tuple(_lifted(arg, values, (int, float)) for arg in term.args))
    if term.function in ("_==_", "_!=_"):
        return replace(term, args=tuple(_lifted(arg, values, (str,)) for arg in term.args))
    return term


def _lifted(term: Term, values: list[Value], kinds: tuple[type, ...]) -> Term:
    if not isinstance(term, Literal) or type(term.value) not in kinds:
        return term
    value = term.value
    assert isinstance(value, int | float | str)
    if isinstance(value, float) and not math.isfinite(value):
        return term
    values.append(value)
    kind = "string" if isinstance(value, str) else "double" if isinstance(value, float) else "int"
    return Lifted(len(values) - 1, kind)
