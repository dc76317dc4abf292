"""The work of one evaluation: counted, bounded, and refused beforehand where it is certain."""

from __future__ import annotations

from typing import Any

import pytest

from udfs.errors import ExpressionInvalid
from udfs.expressions import EvaluationError, Names, compile_expression
from udfs.expressions.limits import MAX_RESULT, MAX_STEPS, PATTERN_STEPS

NAMES = Names(event=False, values=("a", "b"))


def steps(text: str, **values: Any) -> int:
    """The steps that one evaluation takes."""
    return compile_expression(text, NAMES).steps(None, None, {"a": None, "b": None, **values})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a == b", {"a": 1, "b": 1}, 0),
        ("a.all(x, x > 0)", {"a": [1] * 100}, 100),
        ("a.all(x, x > 0)", {"a": [0] * 100}, 100),
        ("a.exists(x, a.exists(y, y > x))", {"a": [1] * 100}, 100 * 101),
        ("a.map(x, x + 1).filter(y, y > 1).size()", {"a": [1] * 100}, 200),
        ("a.all(x, x.contains('y') || true)", {"a": ["x" * 160] * 10}, 10 + 10 * 10),
        ("a.all(x, x in b || true)", {"a": [1] * 10, "b": [2] * 50}, 10 + 10 * 50),
        ("a.all(k, k != '')", {"a": {"x": 1, "y": 2}}, 2),
        ("a && true", {"a": [1] * 100}, 0),
        ("a.matches('^x*$')", {"a": "x" * 12_800}, 300),
    ],
)
def test_count(text: str, values: dict[str, Any], expected: int) -> None:
    """Each element visited is a step, and what is handled there by its size."""
    assert steps(text, **values) == pytest.approx(expected, rel=0.2)


def test_the_body_of_a_macro_counts() -> None:
    """A turn costs more if there is more to do."""
    long = "a.all(x, " + " && ".join(["x > 0"] * 40) + ")"
    assert steps(long, a=[1] * 100) >= 10 * steps("a.all(x, x > 0)", a=[1] * 100)


@pytest.mark.parametrize("length", [1_000, 10_000, 1_000_000])
def test_it_never_takes_more_than_the_bound(length: int) -> None:
    """However long the data."""
    values = {"a": [1] * length, "b": "x" * length}
    for text in (
        "a.all(x, a.all(y, x == y))",
        "a.map(x, b + b)",
        "b.matches('x.{900}y')",
        "regex_extract(b, '(x+)y') == ''",
        "b.replace('x', b)",
        "b.split('').join(b)",
        " + ".join(["b"] * 30),
    ):
        expression = compile_expression(text, NAMES)
        assert expression.steps(None, None, values) <= MAX_STEPS


@pytest.mark.parametrize(
    "text",
    [
        "a.matches('x.{900}y')",
        "a.matches('(.*a.{300}b.{300})+c')",
        "[a].exists(x, x.matches('x.{900}y'))",
        "regex_extract(a, 'x.{900}y') == ''",
        "matches(a, b)",
    ],
)
def test_a_slow_pattern_over_a_long_text(text: str) -> None:
    """RE2 would take ten seconds of a megabyte; it is an error at once."""
    expression = compile_expression(text, NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, None, {"a": "ab" * 500_000, "b": "x.{900}y"})


def test_patterns_from_data_are_paid_for_once() -> None:
    """The same again is free, ten different ones are not."""
    text = "a.exists(x, 'text'.matches(x))"
    assert steps(text, a=["y"] * 1000) < PATTERN_STEPS + 2_000
    expression = compile_expression(text, NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, None, {"a": [f"y{n}" for n in range(12)]})


@pytest.mark.parametrize(
    "text",
    [
        "a.replace('', a)",
        "a.replace('x', a, 100000)",
        "a.split('').join(a)",
        "a + a + a + a + a + a",
        "[a + a + a].size() > 0 && (a + a + a + a) == ''",
    ],
)
def test_no_text_is_blown_up(text: str) -> None:
    """A megabyte becomes no terabyte."""
    expression = compile_expression(text, NAMES)
    with pytest.raises(EvaluationError):
        expression.value(None, None, {"a": "x" * (MAX_RESULT // 3)})


def test_many_large_texts_are_out_of_steps() -> None:
    """A text has room for hundreds of additions."""
    expression = compile_expression(f"[{', '.join(['a + a'] * 400)}]", NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, None, {"a": "x" * 500_000})
    assert len(expression.value(None, None, {"a": "x"})) == 400


def test_results_are_counted_in_macros() -> None:
    """What grows costs what it has become."""
    expression = compile_expression("a.map(x, x.replace('x', b))", NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, None, {"a": ["x" * 1000] * 100, "b": "y" * 1000})


def test_running_out_is_not_absorbed() -> None:
    """Or the next operand would start anew."""
    expression = compile_expression("a.all(x, a.all(y, x == y)) || true", NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, None, {"a": [1] * 1000})
    assert not expression.test(None, None, {"a": [1] * 1000})
    assert expression.errors == 1


def test_what_certainly_takes_too_long_is_refused() -> None:
    """Lists in the text are known when it is loaded."""
    many = f"[{', '.join('1' * 200)}]"
    fine = f"{many}.all(x, {many}.all(y, x == y))"
    assert compile_expression(fine, NAMES).test(None, None, None)
    with pytest.raises(ExpressionInvalid, match=r"at least .* steps"):
        compile_expression(f"{many}.all(x, {many}.all(y, {many}.all(z, x == y)))", NAMES)
