"""Python source of the exact variant: one helper call an operator, CEL's absorption in full.

It runs when the fast variant raised. Only text made here reaches the source: helper names,
numbered variables, and literals through `repr` of str, bytes, int, float, bool and None.
"""

from __future__ import annotations

import math

from udfs.expressions.cost import turn_cost
from udfs.expressions.functions import CALLABLE, MACROS
from udfs.expressions.kinds import TypeValue, UInt
from udfs.expressions.terms import (
    Apply,
    Entries,
    Get,
    Has,
    Items,
    Lifted,
    Literal,
    Local,
    Macro,
    Term,
    Variable,
)


def literal(term: Literal) -> str:
    """A constant as Python source."""
    value = term.value
    if isinstance(value, TypeValue):
        return f"TypeValue({value.name!r})"
    if isinstance(value, UInt):
        return f"UInt({int(value)!r})"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "(-inf)"
    return f"({value!r})" if isinstance(value, int | float) and value < 0 else repr(value)


def exact(term: Term, *, in_macro: bool = False) -> str:  # noqa: C901, PLR0911, PLR0912 - a case a kind
    """The source of a term."""
    match term:
        case Literal():
            return literal(term)
        case Lifted(number):
            return f"c{number}"
        case Local(number):
            return f"x{number}"
        case Variable("event"):
            return "e"
        case Variable("field", name):
            return f"select(e, {name!r})"
        case Variable("step", name):
            return f"step(s, {name!r})"
        case Variable(_, name):
            return f"given(v, {name!r})"
        case Get(operand, name):
            return f"select({exact(operand, in_macro=in_macro)}, {name!r})"
        case Has(operand, name):
            return f"has({exact(operand, in_macro=in_macro)}, {name!r})"
        case Items(items):
            return f"[{', '.join(exact(item, in_macro=in_macro) for item in items)}]"
        case Entries(parts):
            return f"make_map({', '.join(exact(part, in_macro=in_macro) for part in parts)})"
        case Macro():
            return _macro(term, in_macro=in_macro)
        case Apply():
            return _apply(term, in_macro=in_macro)


def call(term: Apply, args: list[str], *, in_macro: bool) -> str:
    """The call of a function's helper, with what it costs."""
    known = CALLABLE[term.function]
    if known.pays:
        if not isinstance(term.args[1], Literal):
            args = [args[0], f"new_pattern(b, {args[1]})"]
        args = ["b", *args]
    elif in_macro and known.walks:
        args = [f"charge(b, {arg})" for arg in args]
    made = f"{known.helper}({', '.join(args)})"
    return f"charge(b, {made})" if known.grows else made


def macro(term: Macro, over: str, make: str | None, predicate: str | None) -> str:
    """The call of a macro's helper with the sources of its parts."""
    parts = [f"turns(b, {over}, {turn_cost(term)})"]
    bodies = (body for body in (make, predicate) if body is not None)
    parts += (f"lambda x{term.local}: {body}" for body in bodies)
    return f"{MACROS[term.name]}({', '.join(parts)})"


def _macro(term: Macro, *, in_macro: bool) -> str:
    bodies = (
        None if body is None else exact(body, in_macro=True) for body in (term.make, term.predicate)
    )
    return macro(term, exact(term.over, in_macro=in_macro), *bodies)


def _apply(term: Apply, *, in_macro: bool) -> str:
    args = [exact(arg, in_macro=in_macro) for arg in term.args]
    match term.function:
        case "_&&_" | "_||_":
            helper = "conjunction" if term.function == "_&&_" else "disjunction"
            return f"{helper}({', '.join(f'lambda: {arg}' for arg in args)})"
        case "_?_:_":
            return f"({args[1]} if check_bool({args[0]}) else {args[2]})"
        case "!_":
            return f"(not check_bool({args[0]}))"
        case "dyn":
            return args[0]
    return call(term, args, in_macro=in_macro)
