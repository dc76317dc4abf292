from __future__ import annotations

import itertools

import pytest

from udfs.expressions import EvaluationError, Names, compile_expression

OPERANDS = {"true": True, "false": False, "1/0 == 1": None, "a": None, "props.x": None}
NAMES = Names(values=("a",))


def expected(operator: str, left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001
    """CEL's table: the operand that decides wins, then an error, then the rest."""
    decisive = operator == "||"
    if decisive in (left, right):
        return decisive
    return None if left is None or right is None else not decisive


@pytest.mark.parametrize("operator", ["&&", "||"])
@pytest.mark.parametrize(("left", "right"), list(itertools.product(OPERANDS, repeat=2)))
def test_table(operator: str, left: str, right: str) -> None:
    """An error on either side loses against the operand that decides; a non-bool is an error."""
    expression = compile_expression(f"({left}) {operator} ({right})", NAMES)
    wanted = expected(operator, OPERANDS[left], OPERANDS[right])
    if wanted is None:
        with pytest.raises(EvaluationError):
            expression.value(None, None, {"a": 5})
    else:
        assert expression.value(None, None, {"a": 5}) is wanted
    assert expression.test(None, None, {"a": 5}) is (wanted is True)
    assert expression.errors == (wanted is None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[0, 1].exists(x, 1 / x == 1)", True),
        ("[1, 0].exists(x, 1 / x == 2)", None),
        ("[0, 2].all(x, 1 / x == 1)", False),
        ("[0, 1].all(x, 1 / x == 1)", None),
        ("[0, 1].exists_one(x, 1 / x == 1)", None),
        ("[0, 1].filter(x, 1 / x == 1) == []", None),
        ("[0].map(x, 1 / x) == [] || true", True),
        ("(1 / 0 == 1 ? true : true) || true", True),
        ("!(1 / 0 == 1) && false", False),
        ("[1 / 0, 1].exists(x, x == 1) || false", None),
        ("1/0 == 1 || 2/0 == 1 || 3/0 == 1 || true", True),
        ("(1/0 == 1 || false) && false", False),
        ("(1/0 == 1 && true) || (2/0 == 1 && false)", None),
        ("has(a.b) || true", True),
    ],
)
def test_nested(text: str, wanted: bool | None) -> None:  # noqa: FBT001
    """Absorption works through nesting and in the macros that are built on it."""
    expression = compile_expression(text, NAMES)
    if wanted is None:
        with pytest.raises(EvaluationError):
            expression.value(None, None, {"a": 5})
    else:
        assert expression.value(None, None, {"a": 5}) is wanted
