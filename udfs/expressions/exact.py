"""Python source of the exact variant: one helper call an operator, CEL's absorption in full.

It runs when the fast variant raised. Only text made here reaches the source: helper names,
numbered variables, and literals through `repr` of str, bytes, int, float, bool and None.
"""

from __future__ import annotations

import math

from udfs.expressions.resolve import (
    Apply,
    Entries,
    Get,
    Has,
    Items,
    Literal,
    Local,
    Macro,
    Term,
    Variable,
)

HELPERS = {
    "_+_": "add",
    "_-_": "subtract",
    "_*_": "multiply",
    "_/_": "divide",
    "_%_": "modulo",
    "_==_": "equal",
    "_!=_": "not_equal",
    "_<_": "less",
    "_<=_": "less_equal",
    "_>_": "greater",
    "_>=_": "greater_equal",
    "@in": "contains",
    "_[_]": "index",
    "-_": "negate",
    "size": "size",
    "first": "first",
    "last": "last",
    "max": "greatest",
    "min": "least",
    "string": "text_of",
    "int": "to_int",
    "double": "to_double",
    "bool": "to_bool",
    "contains": "contains_text",
    "startsWith": "starts_with",
    "endsWith": "ends_with",
    "matches": "matches",
    "lowerAscii": "lower_ascii",
    "upperAscii": "upper_ascii",
    "trim": "trim",
    "split": "split",
    "join": "join",
    "replace": "replace",
}
"""The helper of each operator and function."""
MACROS = {"all": "for_all", "exists": "exists", "exists_one": "exists_one", "map": "transform"}
"""The helper of each macro."""
WALKING = frozenset(
    (
        *("_+_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "string"),
        *("contains", "startsWith", "endsWith", "matches", "lowerAscii", "upperAscii"),
        *("trim", "split", "join", "replace"),
    )
)
"""What takes time in proportion to its operands: counted inside macros."""

_TERMS_PER_STEP = 8  # as many as take about 0.2 µs


def literal(term: Literal) -> str:
    """A constant as Python source."""
    value = term.value
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "(-inf)"
    return f"({value!r})" if isinstance(value, int | float) and value < 0 else repr(value)


def exact(term: Term, *, in_macro: bool = False) -> str:  # noqa: C901, PLR0911 - a case a kind
    """The source of a term."""
    match term:
        case Literal():
            return literal(term)
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


def turn_cost(term: Macro) -> int:
    """Steps of one turn of a macro: more for a long body, so that the time is bounded."""
    return 1 + sum(_terms(body) for body in (term.make, term.predicate)) // _TERMS_PER_STEP


def _terms(term: Term | None) -> int:
    match term:
        case None | Literal() | Local() | Variable():
            return 1
        case Get(operand) | Has(operand):
            return 1 + _terms(operand)
        case Macro():
            return sum(map(_terms, (term.over, term.make, term.predicate)))
        case Items(parts) | Entries(parts) | Apply(_, parts):
            return 1 + sum(map(_terms, parts))


def _macro(term: Macro, *, in_macro: bool) -> str:
    over = f"turns(b, {exact(term.over, in_macro=in_macro)}, {turn_cost(term)})"
    bodies = [
        f"lambda x{term.local}: {exact(body, in_macro=True)}"
        for body in (term.make, term.predicate)
        if body is not None
    ]
    return f"{MACROS[term.name]}({', '.join((over, *bodies))})"


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
    if in_macro and term.function in WALKING:
        args = [f"charge(b, {arg})" for arg in args]
    return f"{HELPERS[term.function]}({', '.join(args)})"
