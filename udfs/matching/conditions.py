"""The ``where`` texts of rules as CEL expressions."""

from __future__ import annotations

from udfs.errors import ExpressionInvalid, Fault
from udfs.expressions import CodeCache, Names, compile_expression
from udfs.matching.predicates import Compiled, Compiler


def cel(cache: CodeCache | None = None) -> Compiler:
    """Give the compiler of ``where`` texts.

    Args:
        cache: Of compiled code, so that a text is not parsed again.
    """

    def compile_text(text: str, steps: tuple[str, ...], where: str) -> Compiled:
        expression = compile_expression(text, Names(event=True, steps=steps), cache, where)
        if expression.kind not in ("bool", "dyn"):
            problem = f"the expression is a {expression.kind}, so it can never hold"
            raise ExpressionInvalid([Fault(where, problem, "write a condition")])
        return Compiled(expression.test, expression.steps_used, lambda: expression.errors)

    return compile_text
