"""docs/expressions.md: every function is there, and every example is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from udfs.expressions import Names, compile_expression
from udfs.expressions.functions import FUNCTIONS, MACRO_NAMES
from udfs.expressions.limits import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_PATTERN_BYTES,
    MAX_RESULT,
    MAX_STEPS,
    MAX_TEXT_BYTES,
    PATTERN_STEPS,
)

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.+?) \| (.*) \| `(.+)` → `(.+)` \|$", TEXT, flags=re.MULTILINE)
VALUES = {"n": 3, "t": "a,b", "url": "https://shop.example/p?sku=s%201&src=mail"}
NAMES = Names(event=False, values=tuple(VALUES))


@pytest.mark.parametrize(
    ("example", "result"), [row[2:] for row in ROWS], ids=[row[2] for row in ROWS]
)
def test_examples(example: str, result: str) -> None:
    """The result is the one on the page, with its kind."""
    found = compile_expression(example, NAMES).value(None, None, VALUES)
    assert repr(found) == repr(json.loads(result))


def test_every_function_has_a_row() -> None:
    """What can be called stands there with its signature."""
    signatures = " ".join(row[0] for row in ROWS)
    named = set(re.findall(r"(\w+)\(", signatures))
    assert named == {*FUNCTIONS, *MACRO_NAMES}


@pytest.mark.parametrize(
    "number",
    [
        MAX_TEXT_BYTES,
        MAX_DEPTH,
        MAX_ELEMENTS,
        MAX_PATTERN_BYTES,
        MAX_RESULT,
        MAX_STEPS,
        PATTERN_STEPS,
    ],
)
def test_limits(number: int) -> None:
    """The numbers are those of the code."""
    assert f"| {number} " in TEXT or f" {number:,}" in TEXT
