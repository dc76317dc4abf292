"""The limits of expressions, each with its reason."""

from __future__ import annotations

MAX_TEXT_BYTES = 4096
"""Longer logic is a script or several rules; a text of this size may take 0.1 s to compile."""

MAX_DEPTH = 32
"""Nesting. The CEL parser's own limit, and what keeps the generated code far from the
limits of Python's compiler; chains of ``&&`` and ``||`` do not nest."""

MAX_ELEMENTS = 500
"""Elements of one list or map literal. A longer list is data: it belongs in a table."""

MAX_STEPS = 100_000
"""Work of one evaluation: elements visited by macros, plus the sizes of what is handled
inside them, plus what regular expressions do. Some 20 ms, after which the evaluation is an
error and not a standstill."""

MAX_RESULT = 1_048_576
"""Characters, bytes or elements of what an operator puts together: as much as the largest
Kafka message brings. Without it ``replace`` makes a terabyte of a megabyte."""

PATTERN_STEPS = 10_000
"""Steps of compiling a pattern that comes from data: up to 3 ms."""

MAX_PATTERNS = 256
"""Compiled regular expressions that are kept of patterns which come from data."""

MAX_PATTERN_BYTES = 1000
"""Length of a regular expression; RE2 needs memory in proportion to it."""

RESERVED = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if"),
        *("import", "in", "let", "loop", "namespace", "null", "package", "return"),
        *("true", "var", "void", "while"),
        *("bool", "bytes", "double", "duration", "dyn", "int", "list", "map"),
        *("null_type", "string", "timestamp", "type", "uint"),
    }
)
"""Words that CEL keeps for itself, and its type names."""
