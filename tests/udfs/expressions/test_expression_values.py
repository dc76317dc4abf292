from __future__ import annotations

import math
from typing import Any

import pytest

from udfs.errors import ExpressionInvalid
from udfs.events.event import Event
from udfs.expressions import EvaluationError, Names, compile_expression

ERROR = object()
NAMES = Names(steps=("view", "cart"), values=("a", "b", "f"))
PROPS = {
    "price": 150.0,
    "n": 3,
    "sku": "s1",
    "ok": True,
    "none": None,
    "list": [1, 2.0, "x"],
    "map": {"k": 1},
    "text": "12",
}


def event(**changes: Any) -> Event:
    """An event with every kind of property."""
    known = {"event_id": "e1", "event_type": "item_view", "user_id": "u1", "event_time": 5}
    return Event(**{**known, "props": PROPS, "page_id": "p1", **changes})


STEPS = {"view": [event(props={"x": 1}), event(props={"x": 2, "sku": "s1"})], "cart": []}

TABLE: list[tuple[str, Any]] = [
    # literals
    ("1", 1),
    ("-9223372036854775808", -(2**63)),
    ("0x1F", 31),
    ("7u", 7),
    ("1.5e3", 1500.0),
    ("1e999", math.inf),
    ("-1e999", -math.inf),
    (r'"a\n\"\u00e9"', 'a\n"é'),
    ("r'\\d'", "\\d"),
    ("b'abc'", b"abc"),
    ("null", None),
    ("[1, 'a', null]", [1, "a", None]),
    ("{'k': [1], 'l': {}}", {"k": [1], "l": {}}),
    # fields
    ("event_type", "item_view"),
    ("event_time + 1", 6),
    ("page_id", "p1"),
    ("device_id", ERROR),
    ("device_id == 'x'", ERROR),
    ("event.page_id", "p1"),
    ("has(event.page_id)", True),
    ("has(event.device_id)", False),
    ("has(event.props)", True),
    ("props.price", 150.0),
    ("props['price']", 150.0),
    ("event.props.price", 150.0),
    ("props.missing", ERROR),
    ("has(props.sku)", True),
    ("has(props.none)", True),
    ("has(props.missing)", False),
    ("has(props.map.k)", True),
    ("has(props.sku.k)", ERROR),
    ("has(props.missing.k)", ERROR),
    ("props.map.k", 1),
    ("props.sku.k", ERROR),
    ("props.none.k", ERROR),
    # comparisons
    ("props.price > 100.0", True),
    ("props.price > 100", True),
    ("props.n < 3.5", True),
    ("props.ok > 0", ERROR),
    ("props.ok < 2.5", ERROR),
    ("0 < props.ok", ERROR),
    ("props.sku > 1", ERROR),
    ("props.none < 1", ERROR),
    ("props.list < [3]", None),
    ("props.sku < 't'", True),
    ("props.n < 't'", ERROR),
    ("props.ok < true", False),
    ("props.n == 3.0", True),
    ("props.ok == 1", False),
    ("1 == props.ok", False),
    ("props.ok == 1.0", False),
    ("props.ok == true", True),
    ("props.n == true", False),
    ("props.sku == 's1'", True),
    ("props.n == '3'", False),
    ("props.n != '3'", True),
    ("props.none == null", True),
    ("props.n == null", False),
    ("props.list == [1.0, 2, 'x']", True),
    ("props.list == [true, 2, 'x']", False),
    ("props.map == {'k': 1.0}", True),
    ("props.ok == 1/0", ERROR),
    ("a == a", False),
    ("a != a", True),
    ("[a] == [a]", False),
    ("a in [a]", False),
    ("a < 1.0", False),
    # logic
    ("props.ok && props.n == 3", True),
    ("!props.ok", False),
    ("!props.n", ERROR),
    ("props.n ? 1 : 2", ERROR),
    ("props.ok ? 1 : 1/0", 1),
    ("props.ok ? props.missing : 1", ERROR),
    # arithmetic
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("-7 % 2", -1),
    ("7 % -2", 1),
    ("1 / 0", ERROR),
    ("1 % 0", ERROR),
    ("1.0 / 0.0", math.inf),
    ("-1.0 / 0.0", -math.inf),
    ("1e308 * 10.0", math.inf),
    ("9223372036854775807 + 1", ERROR),
    ("9223372036854775807 * 2", ERROR),
    ("-9223372036854775807 - 2", ERROR),
    ("-9223372036854775808 / -1", ERROR),
    ("-9223372036854775808 % -1", ERROR),
    ("-(-9223372036854775807 - 1)", ERROR),
    ("props.n + 1", 4),
    ("props.price + 1", ERROR),
    ("props.price + 1.0", 151.0),
    ("props.n * props.price", ERROR),
    ("props.ok + 1", ERROR),
    ("props.sku * props.n", ERROR),
    ("props.sku + 'x'", "s1x"),
    ("props.sku + props.n", ERROR),
    ("props.list + [4]", [1, 2.0, "x", 4]),
    ("-props.price", -150.0),
    ("-props.ok", ERROR),
    ("max(props.n, 1)", 3),
    ("max(props.n, 4.5)", 4.5),
    ("min(1, 2)", 1),
    ("max(props.ok, 1)", ERROR),
    # lists and maps
    ("props.n in [1, 2, 3]", True),
    ("props.ok in [1, 2]", False),
    ("props.n in [1.0, 3.0]", True),
    ("props.sku in ['s1', 's2']", True),
    ("props.list in ['s1', 's2']", False),
    ("props.map in [1, 5]", False),
    ("'sku' in props", True),
    ("props.sku in props", False),
    ("1 in props.map", False),
    ("null in props.map", ERROR),
    ("1 in props.sku", ERROR),
    ("props.list[0]", 1),
    ("props.list[1.0]", 2.0),
    ("props.list[1.5]", ERROR),
    ("props.list[-1]", ERROR),
    ("props.list[3]", ERROR),
    ("props.list[true]", ERROR),
    ("props.list[props.ok]", ERROR),
    ("props.sku[0]", ERROR),
    ("props.map['k']", 1),
    ("props.map[0]", ERROR),
    ("size(props.list)", 3),
    ("props.sku.size()", 2),
    ("size('é😀')", 2),
    ("size(props.n)", ERROR),
    ("first(props.list)", 1),
    ("last(props.list)", "x"),
    ("last(props.sku)", ERROR),
    ("last([])", ERROR),
    # steps
    ("view[0].props.x", 1),
    ("last(view).props.x", 2),
    ("first(view).props.x", 1),
    ("view[-1].props.x", ERROR),
    ("view[2].props.x", ERROR),
    ("last(cart)", ERROR),
    ("size(cart)", 0),
    ("last(view).props.sku == props.sku", True),
    ("first(view).props.sku == props.sku", ERROR),
    ("view.exists(v, v.props.x == 2)", True),
    ("view.all(v, v.props.x > 0)", True),
    ("view.map(v, v.props.x)", [1, 2]),
    ("view.filter(v, has(v.props.sku)).size()", 1),
    ("view.exists(props, props.event_type == 'item_view')", True),
    ("[7].exists(event_time, event_time == 7 && .event_time == 5)", True),
    ("view[0] == view[0]", True),
    ("view[0] == view[1]", False),
    ("(view + cart)[0].event_time", 5),
    # values
    ("f.user", ERROR),
    ("f['user.age'] >= 18", True),
    ("b", ERROR),
    # macros
    ("[1, 2, 3].exists_one(x, x > 2)", True),
    ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
    ("props.list.exists(x, x == 'x')", True),
    ("props.list.all(x, x > 0)", ERROR),
    ("props.list.exists_one(x, x > 1)", ERROR),
    ("props.map.exists(k, k == 'k')", True),
    ("props.sku.all(x, true)", ERROR),
    ("[[1], [2]].all(x, x.all(x, x > 0))", True),
    ("[1].map(x, [x].map(y, x + y))", [[2]]),
    # text
    ("props.sku.contains('1')", True),
    ("props.n.contains('1')", ERROR),
    ("props.sku.startsWith('s')", True),
    ("props.sku.endsWith('s')", False),
    ("props.sku.matches('^s[0-9]$')", True),
    ("props.sku.matches(props.sku)", True),
    ("props.n.matches('3')", ERROR),
    ("'(' == '(' && 'x'.matches(f.broken)", ERROR),
    ("'ABCÉ'.lowerAscii()", "abcÉ"),
    ("'abcé'.upperAscii()", "ABCé"),
    ("' \u2003a b\t'.trim()", "a b"),
    ("'a,b,,c'.split(',')", ["a", "b", "", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("['a', 'b'].join('-')", "a-b"),
    ("props.list.join('-')", ERROR),
    ("'abb'.replace('b', 'x', 1)", "axb"),
    # conversions
    ("string(props.n) + string(3.0) + string(true)", "33true"),
    ("string(null)", ERROR),
    ("int(props.text)", 12),
    ("int(3.9)", 3),
    ("int(1e19)", ERROR),
    ("int(props.ok)", 1),
    ("int('x')", ERROR),
    ("double(props.n)", 3.0),
    ("double('1.5')", 1.5),
    ("double(props.ok)", ERROR),
    ("bool('true')", True),
    ("bool(1)", None),
    ("dyn(1) == 1.0", True),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_value(text: str, expected: Any) -> None:
    """Each expression has CEL's value or is an error; None stands for refused when compiled."""
    values = {"a": math.nan, "f": {"user.age": 20, "broken": "("}}
    if expected is None and text != "null":
        with pytest.raises(ExpressionInvalid):
            compile_expression(text, NAMES)
        return
    expression = compile_expression(text, NAMES)
    if expected is ERROR:
        with pytest.raises(EvaluationError):
            expression.value(event(), STEPS, values)
        assert not expression.test(event(), STEPS, values)
        assert expression.errors == 1
        return
    result = expression.value(event(), STEPS, values)
    assert repr(result) == repr(expected)
    assert repr(expression._settler.precise(event(), STEPS, values)) == repr(expected)
    assert expression.test(event(), STEPS, values) is (expected is True)
    assert expression.errors == (0 if isinstance(expected, bool) else 1)


def test_absent_inputs_are_errors_not_crashes() -> None:
    """Without event, steps or values, what needs them is an error."""
    for text in ("props.x == 1", "event_type == 'a'", "last(view).event_time > 1", "a == 1"):
        expression = compile_expression(text, NAMES)
        with pytest.raises(EvaluationError):
            expression.value(None, None, None)
        assert not expression.test(None, None, None)
        assert expression.errors == 1


def test_a_step_that_took_nothing_is_an_empty_list() -> None:
    """A step may be absent from the mapping."""
    assert compile_expression("size(cart) == 0", NAMES).test(event(), {}, None)
    assert compile_expression("size(cart) == 0", NAMES).test(event(), None, None)


def test_an_expression_over_values_alone() -> None:
    """Derived aggregates mention other aggregates only."""
    names = Names(event=False, values=("clicks_1h", "views_1h"))
    ratio = compile_expression("double(clicks_1h) / double(max(views_1h, 1))", names)
    assert ratio.value(None, None, {"clicks_1h": 1, "views_1h": 0}) == 1.0
    assert ratio.event_fields == frozenset()
    assert ratio.values_used == {"clicks_1h", "views_1h"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("props.x > 1 && props['y'] < 2", {"fields": {"props"}, "props": {"x", "y"}}),
        ("has(props.x) || 'z' in props", {"fields": {"props"}, "props": {"x", "z"}}),
        ("event.props.x.y == 1", {"fields": {"props"}, "props": {"x"}}),
        ("size(props)", {"fields": {"props"}, "all": True}),
        ("props[event_type]", {"fields": {"props", "event_type"}, "all": True}),
        ("last(view).props.x == 1", {"steps": {"view"}}),
        ("f.x == 1 && has(event.os)", {"fields": {"os"}, "values": {"f"}}),
        ("view.exists(props, props.props.x == 1)", {"steps": {"view"}}),
    ],
)
def test_what_is_read(text: str, read: dict[str, Any]) -> None:
    """An expression names what it reads, no more."""
    found = compile_expression(text, NAMES)
    assert found.event_fields == read.get("fields", set())
    assert found.prop_fields == read.get("props", set())
    assert found.all_props is read.get("all", False)
    assert found.steps_used == read.get("steps", set())
    assert found.values_used == read.get("values", set())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("props.x > 1", "bool"),
        ("event_time + props.x", "int"),
        ("props.x", "dyn"),
        ("page_id", "string"),
        ("view", "list"),
        ("last(view)", "event"),
        ("props", "map"),
    ],
)
def test_certain_kind(text: str, kind: str) -> None:
    """The kind of the result is known where the types are."""
    assert compile_expression(text, NAMES).kind == kind
