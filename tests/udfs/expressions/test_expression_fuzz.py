"""Texts that nobody would write: no crash, no hang, and nothing of Python within reach."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

from udfs.errors import ExpressionInvalid
from udfs.events.event import Event
from udfs.expressions import EvaluationError, Names, compile_expression
from udfs.expressions.functions import FUNCTIONS
from udfs.expressions.limits import MAX_STEPS
from udfs.expressions.names import EVENT_FIELDS
from udfs.expressions.runtime import RUNTIME

NAMES = Names(steps=("view",), values=("a", "b", "f"))
EVENT = Event(
    event_id="1", event_type="t", user_id="u", event_time=1, page_id="p", props={"x": 1, "s": "t"}
)
STEPS = {"view": [EVENT]}
VALUES: dict[str, Any] = {"a": [1, "x", None], "b": "text", "f": {"x": 2.5, "__class__": 1}}
PLAIN = (type(None), bool, int, float, str, bytes, Event)
ATTRIBUTES = {*EVENT_FIELDS, "__class__", "startswith", "endswith", "encode"}
"""What generated code may ask of an object; only fixed source mentions them."""

WORDS = (
    *("a", "b", "f", "f.x", "props", "props.x", "props.s", "view", "event", "event_type", "x"),
    *("1", "0", "2.5", "1u", "'t'", "''", "b'x'", "true", "false", "null", "[]", "{}", "[1, 2]"),
    *("+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "!", "?", ":", "in", ".", ","),
    *("(", ")", "[", "]", "{", "}", " ", "\n", "{'k': 1}", "timestamp(0)", "duration('1s')"),
    *("has(", "a.all(x, ", "a.exists(x, ", "a.map(x, ", ".filter(x, ", "int", "list", "type("),
    *(f"{name}(" for name in FUNCTIONS),
    *(f".{name}(" for name in FUNCTIONS),
    *("__class__", ".__class__", "__import__('os')", "lambda: 0", "RUNTIME", "run_exact", "e", "v"),
    *("no", "t1", "x0", "p0", ".__dict__", ".format(", "%s", "{0.__class__}", "select(", "b[0]"),
    *("\\", '"""', "//", "`", "$", "@", ";", "#", "\x00", "\u2028", "é", "😀", "\ud800", "\x7f"),
)
SEEDS = (
    "props.x > 1 && props.s in ['t', 'u'] || event_type.startsWith('t')",
    "view.exists(v, v.props.x == 1 && has(v.page_id)) ? last(view).props.s : string(f.x)",
    "a.filter(x, type(x) == int).map(y, y * 2).size() == 1",
    "timestamp(event_time).getHours('Asia/Shanghai') < 12 && duration('1h') > duration('1m')",
    "regex_extract(b, '(t)(e)') + url_param('http://x/?a=b', 'a') + {'k': b}['k']",
    "bucket(f.x, [1, 2, 3]) + hash_id(b, 10) + int(log1p(f.x))",
)


def texts(seed: int, count: int) -> Iterator[str]:
    """Words at random, valid texts with something wrong, and characters at random."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.randrange(8)
        if kind == 0:
            yield "".join(chr(chance.randrange(0x250)) for _ in range(chance.randrange(40)))
        elif kind < 4:
            yield "".join(chance.choices(WORDS, k=chance.randrange(1, 12)))
        else:
            yield _mutated(chance.choice(SEEDS), chance)


def _mutated(text: str, chance: random.Random) -> str:
    for _ in range(chance.randrange(1, 4)):
        at, to = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        piece = chance.choice((chance.choice(WORDS), text[at:to], ""))
        where = chance.randrange(len(text) + 1)
        text = text[:where] + piece + text[where + chance.randrange(4) :]
    return text


def names_of(code: CodeType) -> set[str]:
    """Every name that code looks up, that of nested functions included."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_of(constant)
    return found


def check_plain(value: Any) -> None:
    """Nothing but data comes out."""
    assert isinstance(value, (*PLAIN, list, tuple, dict))
    if isinstance(value, list | tuple):
        for element in value:
            check_plain(element)
    if isinstance(value, dict):
        for key, element in value.items():
            assert type(key) is str
            check_plain(element)


def check(text: str) -> bool:
    """One text; gives whether it compiled."""
    try:
        expression = compile_expression(text, NAMES, where="w")
    except ExpressionInvalid as error:
        assert error.faults  # noqa: PT017
        assert all(fault.where.startswith("w:") for fault in error.faults)  # noqa: PT017
        return False
    for function in (expression.value, expression._settler.precise):
        assert names_of(function.__code__) <= {*RUNTIME, *ATTRIBUTES}
    try:
        check_plain(expression.value(EVENT, STEPS, VALUES))
    except EvaluationError:
        assert not expression.test(EVENT, STEPS, VALUES)
    assert 0 <= expression.steps(EVENT, STEPS, VALUES) <= MAX_STEPS
    return True


def run(seed: int, count: int) -> int:
    """Checks many texts; gives how many compiled."""
    compiled = 0
    for text in texts(seed, count):
        try:
            compiled += check(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text!r}") from error
    return compiled


def test_two_thousand_texts() -> None:
    """A part of them is valid, or nothing would be tried."""
    assert run(0, 2_000) > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_hundred_thousand_texts(seed: int) -> None:
    """5,000 of each seed."""
    run(seed, 5_000)
