"""CEL: text → checked tree → compiled Python function; see docs/expressions.md."""

from __future__ import annotations

from udfs.expressions.cache import CodeCache, Compiled
from udfs.expressions.conversions import text_of
from udfs.expressions.expression import Expression, compile_expression
from udfs.expressions.names import Names
from udfs.expressions.values import EvaluationError

__all__ = [
    "CodeCache",
    "Compiled",
    "EvaluationError",
    "Expression",
    "Names",
    "compile_expression",
    "text_of",
]
