"""Source of comparisons in the fast variant: plain ones wherever they mean what CEL's mean.

Each function gives None where only the helper is right. ``held`` makes names for values that
stand twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.expressions.exact import literal
from udfs.expressions.piece import NUMBERS, Piece
from udfs.expressions.terms import Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from udfs.expressions.terms import Constant, Term

ORDER = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
"""Python's sign of each."""

_SHORT = 60  # characters of source that may stand twice


def order(sign: str, left: Piece, right: Piece, held: Callable[[], str]) -> str | None:
    """``<`` and its kin."""
    kinds = {left.kind, right.kind}
    if kinds <= NUMBERS or {"string"} <= kinds <= {"string", "dyn"}:
        return f"({left.code} {sign} {right.code})"  # Python itself refuses str against any other
    if "dyn" not in kinds or not kinds & NUMBERS:
        return None
    name = held()
    if left.kind == "dyn":
        test, plain = left.code, f"{name} {sign} {right.code}"
    else:
        test, plain = right.code, f"{left.code} {sign} {name}"
    return f"({plain} if ({name} := {test}).__class__ is not bool else no())"


def equal(first: Term, left: Piece, right: Piece, held: Callable[[], str]) -> str | None:
    """``==`` where the kind of the left side is known; ``first`` is its term."""
    plain = f"({left.code} == {right.code})"
    if left.kind in ("string", "bytes") or {left.kind, right.kind} <= NUMBERS:
        return plain
    if left.kind in ("null", "bool"):
        return f"({right.code} is {left.code})"
    if left.kind not in NUMBERS:
        return None
    if isinstance(first, Literal) and first.value not in (0, 1):
        return plain  # no bool equals it
    name = held()
    return f"(({name} := {right.code}) == {left.code} and {name}.__class__ is not bool)"


def equal_unknown(left: Piece, right: Piece, held: Callable[[], str]) -> str | None:
    """``==`` of unknown kinds: mostly strings, and those are quick."""
    if len(left.code) >= _SHORT:
        return None
    name = held()
    test = f"({name} := {right.code}).__class__ is str"
    return f"({name} == {left.code} if {test} else equal({name}, {left.code}))"


def one_of(item: Piece, values: tuple[Constant, ...], held: Callable[[], str]) -> str | None:
    """``in`` a list of constants: a set, which Python's compiler makes a constant."""
    choices = f"{{{', '.join(literal(Literal(value)) for value in values)}}}"
    if values and all(isinstance(value, str) for value in values):
        return f"({item.code} in {choices})"
    if not values or not all(type(value) in (int, float) for value in values):
        return None
    if item.kind in NUMBERS or not {0, 1} & set(values):
        return f"({item.code} in {choices})"
    name = held()
    return f"(({name} := {item.code}) in {choices} and {name}.__class__ is not bool)"
