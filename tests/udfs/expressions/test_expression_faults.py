from __future__ import annotations

import re

import pytest

from udfs.errors import ExpressionInvalid
from udfs.expressions import Names, compile_expression

NAMES = Names(steps=("view", "cart-1"), values=("score", "user.age"))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("evnt_type == 'a'", [r"^w:1:1: unknown name 'evnt_type' \(did you mean event_type"]),
        ("a ||\n  b", ["^w:1:1: unknown name 'a'", "^w:2:3: unknown name 'b'"]),
        ("event_type > 1", ["^w:1:12: .*no matching overload"]),
        ("event_type + 1 == 2", ["^w:1:12: .*no matching overload"]),
        ("last(view).event_type > 1", ["^w:1:23: .*no matching overload"]),
        ("view[0].evnt_type", [r"^w:1:8: an event has no field 'evnt_type' \(did you mean event_"]),
        ("view[0] == 1", [r"^w:1:9: .*\(event, int\)"]),
        ("len(props)", ["^w:1:4: unknown name 'len'"]),
        ("'a'.contain('b')", [r"^w:1:12: unknown name 'contain' \(did you mean contains"]),
        ("1 +", ["^w:1:4: Syntax error"]),
        ("(", ["^w:1:2: Syntax error"]),
        ("", ["^w:1:1: the expression is empty"]),
        ("  ", ["^w:1:1: the expression is empty"]),
        ("99999999999999999999", ["^w:1:1: invalid int literal"]),
        ("'é' + foo", ["^w:1:7: unknown name 'foo'"]),
        ("'😀' == 'x' &&\n\t'a'.reverse() == b", ["^w:2:19: unknown name 'b'"]),
        ("props.x.matches('(')", ["^w:1:17: no RE2 pattern: missing"]),
        ("timestamp('2020-01-01T25:00:00Z') > timestamp(0)", ["^w:1:11: timestamp"]),
        ("duration('1d') > duration('1h')", [r"^w:1:10: duration\(\) cannot read '1d'"]),
        ("timestamp(0).getHours('Mars/Base') > 1", ["^w:1:23: no time zone is called 'Mars/Base'"]),
        ("millrace.Event{event_type: 'a'} == event", ["^w:1:1: a message literal is not"]),
        ("{1.5: 2} == {}", ["^w:1:2: a map's key cannot be a double"]),
        ("{1: 2, 1u: 3} == {}", ["^w:1:8: the key 1 stands twice"]),
        ("{'a': 1, 'a': 2}", ["^w:1:10: the key 'a' stands twice"]),
        ("'a'.reverse()", [r"^w:1:12: reverse\(\) is not supported"]),
        ("cart-1 == 1", ["^w:1:1: unknown name 'cart'"]),
        ("user.age == 1", ["^w:1:5: unknown name 'user.age'"]),
        ("__import__('os')", ["^w:1:11: unknown name '__import__'"]),
    ],
)
def test_fault(text: str, faults: list[str]) -> None:
    """Every fault is reported, with line, column and what to do."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(text, NAMES, where="w")
    found = [str(fault) for fault in caught.value.faults]
    assert len(found) == len(faults), found
    for text_, pattern in zip(found, faults, strict=True):
        assert re.search(pattern, text_), text_


@pytest.mark.parametrize(
    "names",
    [Names(steps=("props",)), Names(values=("os",)), Names(steps=("a",), values=("a",))],
    ids=["step and field", "value and field", "step and value"],
)
def test_a_name_with_two_meanings_is_refused(names: Names) -> None:
    """Nobody has to know which one would win."""
    with pytest.raises(ExpressionInvalid, match=r"is both .*rename"):
        compile_expression("true", names)


def test_a_step_may_be_called_event() -> None:
    """Then `event` is the step; the fields are still there."""
    names = Names(steps=("event",))
    expression = compile_expression("size(event) == 0 && event_type == 'a'", names)
    assert expression.steps_used == {"event"}


@pytest.mark.parametrize("name", ["int", "in", "true", "package", "last", "Event", "class", "None"])
def test_steps_with_odd_names_do_no_harm(name: str) -> None:
    """A reserved word cannot be reached; a keyword of Python is an ordinary name."""
    names = Names(steps=(name,))
    assert compile_expression("event_time == 1", names).steps_used == frozenset()


@pytest.mark.parametrize("text", [None, 5, b"true", ["true"]])
def test_what_is_no_text(text: object) -> None:
    """JSON may hold anything where a text should be."""
    with pytest.raises(ExpressionInvalid, match="an expression is a text"):
        compile_expression(text, NAMES)  # type: ignore[arg-type]
