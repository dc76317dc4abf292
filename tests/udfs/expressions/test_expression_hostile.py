from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from udfs.errors import ExpressionInvalid
from udfs.events.event import Event
from udfs.expressions import EvaluationError, Names, compile_expression
from udfs.expressions.limits import MAX_ELEMENTS, MAX_STEPS, MAX_TEXT_BYTES
from udfs.expressions.runtime import RUNTIME

NAMES = Names(steps=("view",), values=("a", "b"))


def an_event(**props: Any) -> Event:
    """An event with these properties."""
    return Event(event_id="1", event_type="t", user_id="u", event_time=1, props=props)


@pytest.mark.parametrize(
    "text",
    [
        "true" + " " * 100_000,
        "'" + "x" * MAX_TEXT_BYTES + "'",
        "(" * 1000 + "1" + ")" * 1000,
        "[" * 200 + "]" * 200,
        "+".join("1" * 500),
        "a" + ".a" * 500,
        "a" + "[0]" * 500,
        "{'a':" * 100 + "1" + "}" * 100,
        "a ? " * 100 + "1" + " : 2" * 100,
        "[" + "1," * (MAX_ELEMENTS + 1) + "]",
        "{" + ",".join(f"'{n}':0" for n in range(MAX_ELEMENTS + 1))[:4000].rpartition(",")[0],
        "a.map(x," * 100 + "x" + ")" * 100,
        "'" + "a" * 2000 + "'.matches('" + "a" * 1500 + "')",
        "a.matches('((a{100}){100}){100}')",
        "'\ud800'",
        "a\x00b",
        "true\x00 junk",
        "\x00",
        "`",
        "\u202e1",
        "\uff41",
        "a.b.c.__class__.__mro__()",
        "e",
        "s",
        "v",
        "x0",
        "_RUNTIME",
        "__builtins__",
        "[].__class__",
        "exec('1')",
        "''.format([])",
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_refused(text: str) -> None:
    """Too long, too deep, broken or reaching for Python: a fault, nothing else."""
    with pytest.raises(ExpressionInvalid):
        compile_expression(text, NAMES)


@pytest.mark.parametrize("key", ["__class__", "__dict__", "__init__", "keys", "get", "pop"])
def test_keys_of_maps_are_never_attributes(key: str) -> None:
    """A dunder is a key like any other, and absent."""
    for text in (f"a.{key}", f"props.{key}", f"a.b.{key}", f"a['{key}']"):
        expression = compile_expression(text, NAMES)
        with pytest.raises(EvaluationError):
            expression.value(an_event(), {}, {"a": {"b": "x"}})
        held = {"a": {key: 7, "b": {key: 7}}}
        assert expression.value(an_event(**{key: 7}), {}, held) == 7


@pytest.mark.parametrize(
    "value",
    [object(), an_event, type, {1, 2}, {1: 2}, 2**70, complex(1), (1, 2), range(3)],
    ids=repr,
)
@pytest.mark.parametrize(
    "text",
    [
        "a.__class__",
        "a == 1",
        "a > 1",
        "a + 1",
        "a in [1]",
        "a[0]",
        "size(a)",
        "string(a)",
        "a.x",
        "type(a)",
    ],
)
def test_foreign_values(value: Any, text: str) -> None:
    """A value that is none of CEL's gives a value or an evaluation error, no other exception."""
    expression = compile_expression(text, NAMES)
    try:
        expression.value(None, {}, {"a": value})
    except EvaluationError:
        assert not expression.test(None, {}, {"a": value})


def test_no_builtins() -> None:
    """Generated code sees the helpers and nothing of Python's builtins."""
    assert RUNTIME["__builtins__"] == {}
    assert not {"eval", "exec", "open", "getattr", "__import__", "type"} & set(RUNTIME)


@given(st.text(max_size=60))
@example("'\u2028'")
@settings(max_examples=150, deadline=None)
def test_any_text(text: str) -> None:
    """Whatever the text: an expression or faults with places."""
    try:
        compile_expression(text, NAMES, where="w")
    except ExpressionInvalid as error:
        assert error.faults  # noqa: PT017
        assert all(fault.where.startswith("w") for fault in error.faults)  # noqa: PT017


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@settings(max_examples=150, deadline=None)
def test_any_literal(text: str) -> None:
    """A text literal is itself, whatever is in it."""
    escaped = "".join(f"\\U{ord(character):08x}" for character in text)
    if len(escaped) < MAX_TEXT_BYTES - 10:
        assert compile_expression(f"'{escaped}'", NAMES).value(None, {}, {}) == text


def test_deepest_texts_compile() -> None:
    """What the parser lets through, Python's compiler takes as well."""
    for opening, core, closing in (
        ("(a == ", "1", ")"),
        ("(a + ", "1", ")"),
        ("(1 < ", "a", " ? 1 : 2)"),
        ("a.exists(x, x && ", "true", ")"),
        ("a.map(x, x + ", "x", ")"),
        ("max(a, ", "1", ")"),
        ("!(a || ", "a", ")"),
        ("a[", "0", "]"),
        ("-(a * ", "2", ")"),
        ("string(a.x) + (", "''", ")"),
        ("(a in [", "1", "])"),
    ):
        deepest = 0
        for depth in range(1, 33):
            try:
                expression = compile_expression(opening * depth + core + closing * depth, NAMES)
            except ExpressionInvalid as error:
                assert "no matching overload" in str(error) or "nested deeper" in str(error)  # noqa: PT017
                continue
            deepest = depth
            expression.test(None, {}, {"a": [1]})
        assert deepest >= 1


def test_long_chains_of_logic_compile() -> None:
    """`&&` and `||` do not nest."""
    text = " || ".join(f"a == {n}" for n in range(300))
    assert compile_expression(text, NAMES).test(None, {}, {"a": 299})


def test_deep_data() -> None:
    """Data nested deeper than Python's stack is an evaluation error."""
    left: Any = []
    right: Any = []
    for _ in range(100_000):
        left, right = [left], [right]
    for text in ("a == b", "a in [b]", "[a] == [b]", "a != b"):
        expression = compile_expression(text, NAMES)
        with pytest.raises(EvaluationError):
            expression.value(None, {}, {"a": left, "b": right})
        assert not expression.test(None, {}, {"a": left, "b": right})


@pytest.mark.parametrize(
    "text",
    [
        "a.all(x, a.all(y, a.all(z, true)))",
        "a.map(x, a.map(y, y)).size() > 0",
        "a.exists(x, a.exists(y, y == 'nowhere'))",
        "a.map(x, a + a).size() > 0",
        "a.all(x, !(x in a) || true)",
        "a.map(x, b + b).size() > 0",
        "a.all(x, !b.contains('y'))",
        "a.all(x, b.matches('^x*$'))",
    ],
)
def test_work_is_bounded(text: str) -> None:
    """Nested macros over long data run out of steps."""
    expression = compile_expression(text, NAMES)
    with pytest.raises(EvaluationError, match="steps"):
        expression.value(None, {}, {"a": list(range(3000)), "b": "x" * 100_000})


def test_a_list_longer_than_the_bound() -> None:
    """One macro visits as many elements as there are steps, no more."""
    expression = compile_expression("a.all(x, x == 0)", NAMES)
    assert expression.test(None, {}, {"a": [0] * MAX_STEPS})
    assert not expression.test(None, {}, {"a": [0] * (MAX_STEPS + 1)})
    assert expression.errors == 1


def test_patterns_are_linear() -> None:
    """A pattern that makes a backtracking engine hang is quick."""
    expression = compile_expression("a.matches('^(a+)+$')", NAMES)
    assert not expression.test(None, {}, {"a": "a" * 50_000 + "b"})


@pytest.mark.parametrize("text", ["int(a)", "double(a)"])
def test_reading_numbers_is_linear(text: str) -> None:
    """A megabyte of digits that is no number is refused at once."""
    expression = compile_expression(text, NAMES)
    with pytest.raises(EvaluationError):
        expression.value(None, {}, {"a": "1" * 1_000_000 + "x"})
    with pytest.raises(EvaluationError):
        compile_expression("int(a)", NAMES).value(None, {}, {"a": "1" * 1_000_000})
