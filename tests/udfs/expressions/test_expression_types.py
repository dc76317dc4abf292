"""Declared types: what is known of values and members is checked when a text is loaded."""

from __future__ import annotations

import re

import pytest

from udfs.errors import ExpressionInvalid
from udfs.events.event import Event
from udfs.expressions import CodeCache, EvaluationError, Names, compile_expression

NAMES = Names(
    steps=("view",),
    values=("f", "score", "other"),
    types=(
        ("props.price", "double"),
        ("props.tags", "list(string)"),
        ("props.sizes", "map(int)"),
        ("f.age", "int"),
        ("score", "double"),
    ),
)


@pytest.mark.parametrize(
    "text",
    [
        "props.price > 1.0",
        "props.price > 1.0 && props.other > 1",
        "has(props.price) && props.price > 1.0",
        "!has(props.price) || has( props . price ) ? props.price > 0.0 : false",
        "props.tags.exists(t, t == 'a') && props.tags[0].startsWith('b')",
        "props.sizes.s == 1 && props.sizes['m'] > 2",
        "has(f.age) && f.age + 1 > 18 && f.name == 'x'",
        "score > 0.5 && other == 1",
        "'has(props.price)'.size() > 3",
        "[1].all(props, props == 1)",
        "view.all(v, v.props.price == 'undeclared')",
        "props['price'] == 'unchecked'",
    ],
)
def test_accepted(text: str) -> None:
    """What fits the declarations, and what they say nothing of."""
    compile_expression(text, NAMES)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("props.price == 'a'", "w:1:13", r"\(double, string\)"),
        ("has(props.price) &&\n  props.price + 1 > 2", "w:2:15", r"\(double, int\)"),
        ("props.tags.exists(t, t > 1)", "w:1:24", r"\(string, int\)"),
        ("props.sizes.s == 'x'", "w:1:15", r"\(int, string\)"),
        ("f.age.contains('x')", "w:1:15", "contains"),
        ("score && true", "w:1:7", r"\(double, bool\)"),
        ("props.price.x == 1", "w:1:12", "operand of a select"),
    ],
)
def test_refused(text: str, place: str, what: str) -> None:
    """What breaks them, with its place."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(text, NAMES, where="w")
    found = [str(fault) for fault in caught.value.faults]
    assert any(fault.startswith(place) and re.search(what, fault) for fault in found), found


def test_data_that_break_a_declaration_are_an_error_or_unequal() -> None:
    """Declarations are for checking: evaluation does not rely on them."""
    event = Event("1", "t", "u", 1, props={"price": "dear", "tags": 5})
    plain = compile_expression("props.price == 1.5", NAMES)
    assert plain.value(event, None, None) is False
    for text in ("props.price > 1.0", "props.tags.exists(t, t == 'a')"):
        with pytest.raises(EvaluationError):
            compile_expression(text, NAMES).value(event, None, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("props.price", "money"),
        ("props.price", "list(string"),
        ("props.price", "list(string))"),
        ("props.price", "map(string, int)"),
        ("event_time", "int"),
        ("unknown", "int"),
        ("unknown.x", "int"),
        ("view", "int"),
        ("props.a-b", "int"),
        ("props.", "int"),
    ],
)
def test_wrong_declarations(name: str, kind: str) -> None:
    """They are faults like others, not crashes."""
    with pytest.raises(ExpressionInvalid, match=r"declared|type"):
        compile_expression("true", Names(steps=("view",), types=((name, kind),)))


def test_types_are_part_of_the_key() -> None:
    """What was compiled without them was not checked against them."""
    cache = CodeCache()
    compile_expression("score == 'x'", Names(values=("score",)), cache)
    with pytest.raises(ExpressionInvalid):
        compile_expression(
            "score == 'x'", Names(values=("score",), types=(("score", "int"),)), cache
        )
