"""Regular expressions, by RE2: never exponential, and the product that is left is bounded.

RE2 takes time in proportion to the text and, in the worst case, to the size of the compiled
pattern as well: ``a.{900}y`` over a megabyte took ten seconds. So the product of both is paid
for from the budget of the evaluation, and so are patterns that come from data.
"""

from __future__ import annotations

import functools
from typing import Any

import re2  # type: ignore[import-untyped]

from udfs.expressions.budget import Budget, spend
from udfs.expressions.limits import MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_STEPS, PATTERN_STEPS
from udfs.expressions.text import check_strings
from udfs.expressions.values import EvaluationError

_WORK_PER_STEP = 128
"""Characters times instructions of the pattern that RE2's slowest way does in 0.2 µs."""


def pattern_of(pattern: str, *, capture: bool = False) -> Any:
    """An RE2 pattern, compiled.

    Args:
        pattern: Its text.
        capture: Its groups are asked for, not only whether it matches, which takes half the
            time.

    Raises:
        EvaluationError: It is too long, or no pattern of RE2.
    """
    if len(pattern.encode()) > MAX_PATTERN_BYTES:
        raise EvaluationError(f"a pattern of more than {MAX_PATTERN_BYTES} bytes")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not capture
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = b"".join(error.args).decode(errors="replace")
        raise EvaluationError(f"no RE2 pattern: {reason}") from None


def longest_text(pattern: Any) -> int:
    """Characters that a compiled pattern may search in one evaluation."""
    return MAX_STEPS * _WORK_PER_STEP // int(pattern.programsize)


@functools.lru_cache(maxsize=MAX_PATTERNS)
def _kept(pattern: str, *, capture: bool) -> tuple[Any, int]:
    made = pattern_of(pattern, capture=capture)
    return made.search, int(made.programsize)


def new_pattern(budget: Budget, pattern: Any) -> Any:
    """A pattern that comes from data, paid for unless it is the last one again."""
    if pattern != budget[1]:
        spend(budget, PATTERN_STEPS)
        budget[1] = pattern
    return pattern


def matches(budget: Budget, text: Any, pattern: Any) -> bool:
    """``text.matches(pattern)``: anywhere in the text."""
    check_strings("matches", text, pattern)
    search, size = _kept(pattern, capture=False)
    spend(budget, len(text) * size // _WORK_PER_STEP)
    return search(text.encode()) is not None


def regex_extract(budget: Budget, text: Any, pattern: Any) -> str:
    """``regex_extract(text, pattern)``: the first group, or all of the match, or ``""``."""
    check_strings("regex_extract", text, pattern)
    search, size = _kept(pattern, capture=True)
    spend(budget, 2 * len(text) * size // _WORK_PER_STEP)
    match = search(text.encode())
    if match is None:
        return ""
    return bytes(match.group(1 if match.re.groups else 0) or b"").decode()
