"""Comparisons that begin runs: sorted, they say what each of them says when asked."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.events.event import Event
from udfs.expressions import ladder
from udfs.expressions.ladder import comparison_of
from udfs.matching import Machine, Runs

NUMBERS = st.integers(-3, 3) | st.sampled_from([-0.5, 0.0, 1.0, 2.5])
VALUES = NUMBERS | st.sampled_from(["1", None, True, float("nan"), float("inf"), 2**53 + 1, [1]])


def test_the_example() -> None:
    """Of the function."""
    assert doctest.testmod(ladder).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        None, "true", "props.n", "props.a.b > 1", "props.n > m", "1 < props.n", "props.n != 1",
        "props.n > 1 || true", "event_time > 5", "props['n'] > 1", "props.n > 1e3", "-props.n > 1",
    ],
    ids=str,
)  # fmt: skip
def test_all_else_is_asked(text: str | None) -> None:
    """Only whole comparisons of a property with a number are sorted."""
    assert comparison_of(text) is None


@given(
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "=="]), NUMBERS), max_size=20),
    st.lists(st.dictionaries(st.just("n"), VALUES), min_size=1, max_size=6),
)
def test_sorted_is_as_asked(tests: list[tuple[str, float]], props: list[dict[str, Any]]) -> None:
    """The same rules match, and the same errors are counted, as in machines of one rule each."""
    rules = [
        {"rule": f"r{i}", "version": 1,
         "pattern": [{"step": "a", "event": "a", "where": f"props.n {operator} {number}"}]}
        for i, (operator, number) in enumerate(tests)
    ]  # fmt: skip
    events = [Event(str(i), "a", "u", i, props=given) for i, given in enumerate(props)]

    def found(some: list[dict[str, Any]]) -> list[tuple[int, str]]:
        machine = Machine.compile(some)
        return [
            (one.at, one.rule)
            for event in events
            for one in machine.advance(Runs(), "u", event, event.event_time)
        ]

    alone = [one for rule in rules for one in found([rule])]
    assert sorted(found(rules)) == sorted(alone)
