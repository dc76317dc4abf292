"""The ``where`` texts of rules as CEL expressions."""

from __future__ import annotations

from udfs.expressions import CodeCache, Names, compile_expression
from udfs.matching.predicates import Compiled, Compiler


def cel(cache: CodeCache | None = None) -> Compiler:
    """Give the compiler of ``where`` texts.

    Args:
        cache: Of compiled code, so that a text is not parsed again.
    """

    def compile_text(text: str, steps: tuple[str, ...], where: str) -> Compiled:
        expression = compile_expression(text, Names(event=True, steps=steps), cache, where)
        return Compiled(expression.test, expression.steps_used)

    return compile_text
