"""What every key of the DSL does, by example."""

from __future__ import annotations

from typing import Any

import pytest

from udfs.errors import ConfigInvalid
from udfs.matching import match


def events(types: str, **times: int) -> list[dict[str, Any]]:
    """Give events of one-letter types, a second apart; ids are type and position."""
    return [
        {
            "event_id": f"{event_type}{index}",
            "event_type": event_type,
            "user_id": "u",
            "event_time": times.get(f"{event_type}{index}", index * 1000),
        }
        for index, event_type in enumerate(types)
    ]


def rule(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Give a rule."""
    return {"rule": "r", "version": 1, "pattern": list(steps), **keys}


def step(name: str, then: str | None = None, **keys: Any) -> dict[str, Any]:
    """Give a step that takes events of the type that its name begins with."""
    found = {"step": name, "event": name[0], **keys}
    return found if then is None else {**found, "then": then}


def taken(found: list[dict[str, Any]]) -> list[str]:
    """Give the ids of each match in one line."""
    return [
        " ".join(event["event_id"] for events in one["steps"].values() for event in events)
        for one in found
    ]


@pytest.mark.parametrize(
    ("then", "types", "expected"),
    [
        ("next", "ab", ["a0 b1"]),
        ("next", "axb", []),
        ("followed_by", "axbb", ["a0 b2"]),
        ("followed_by_any", "axbb", ["a0 b2", "a0 b3"]),
        ("not_next", "ax", ["a0"]),
        ("not_next", "ab", []),
    ],
)
def test_contiguity(then: str, types: str, expected: list[str]) -> None:
    """How a second step follows the first."""
    assert taken(match([rule(step("a"), step("b", then))], events(types))) == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("consecutive", []),
        ("relaxed", ["a0 b2 b3 c4"]),
        ("combinations", ["a0 b2 b3 c4"]),
    ],
)
def test_contiguity_between_repeats(inner: str, expected: list[str]) -> None:
    """``inner`` of a repeated step, with a stranger before the repeats."""
    pattern = rule(step("a"), step("b", "next", times=2, inner=inner), step("c", "followed_by"))
    assert taken(match([pattern], events("abxbc"))) == (
        [] if inner == "consecutive" else ["a0 b1 b3 c4"]
    )
    pattern["pattern"][1]["then"] = "followed_by"
    assert taken(match([pattern], events("axbbc"))) == (expected or ["a0 b2 b3 c4"])


def test_combinations_may_leave_out_what_fits() -> None:
    """With ``combinations`` a fitting event may also be passed over."""
    pattern = rule(step("a"), step("b", times=2, inner="combinations"))
    assert taken(match([pattern], events("abbb"))) == ["a0 b1 b2", "a0 b1 b3"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (2, ["b1 b2 c4"]),
        ("1..2", ["b1 b2 c4", "b1 c4"]),
        ("2+", ["b1 b2 b3 c4", "b1 b2 c4"]),
        ("0..1", ["b1 c4", "c4"]),
    ],
)
def test_repeats(times: object, expected: list[str]) -> None:
    """``times`` in its forms."""
    pattern = rule(step("a"), step("b", times=times), step("c"))
    assert sorted(taken(match([pattern], events("abbbc")))) == [f"a0 {one}" for one in expected]


def test_optional_step_may_be_left_out() -> None:
    """Both the way with and the way without it match."""
    pattern = rule(step("a"), step("b", optional=True), step("c"))
    assert sorted(taken(match([pattern], events("abc")))) == ["a0 b1 c2", "a0 c2"]


def test_absence_in_the_middle() -> None:
    """Nothing of the absent step may come between its neighbours."""
    pattern = rule(step("a"), step("b", "not_followed_by"), step("c"))
    assert taken(match([pattern], events("axcabc"))) == ["a0 c2"]


def test_absence_at_the_end_is_known_at_the_deadline() -> None:
    """``at`` is the deadline; an event at exactly the deadline comes too late to matter."""
    pattern = rule(step("a"), step("b", "not_followed_by"), within="5s")
    [found] = match([pattern], events("ab", b1=5000))
    assert (found["kind"], found["at"]) == ("match", 5000)
    assert match([pattern], events("ab", b1=4999), end_time=9000) == []
    assert match([pattern], events("a"), end_time=4999) == []


def test_absence_after_open_repeats_waits_for_the_next_event() -> None:
    """As in Flink, a run that may still repeat is not yet waiting for the window to pass."""
    pattern = rule(step("a", times="1+"), step("b", "not_followed_by"), within="5s")
    assert match([pattern], events("a"), end_time=9000) == []
    assert taken(match([pattern], events("ax"), end_time=9000)) == ["a0"]


@pytest.mark.parametrize(("types", "expected"), [
    ("cbab", ["c0 b1", "c0 b1 b3"]),
    ("cbxb", ["c0 b1", "c0 b1 b3"]),
    ("cbaxb", ["c0 b1"]),
])  # fmt: skip
def test_open_repeats_behind_an_absence(types: str, expected: list[str]) -> None:
    """As Flink has it: once such a run has passed an event over, what was absent may end it."""
    steps = [step("c"), step("x", "not_followed_by"), step("b", "next", times="1..2")]
    assert taken(match([rule(*steps)], events(types))) == expected


def test_event_at_the_end_of_the_window_does_not_match() -> None:
    """The window is open at its end."""
    pattern = rule(step("a"), step("b"), within="5s", timeouts=True)
    assert [one["kind"] for one in match([pattern], events("ab", b1=4999))] == ["match"]
    [late] = match([pattern], events("ab", b1=5000))
    assert (late["kind"], late["at"], late["steps"].keys()) == ("timeout", 5000, {"a"})


@pytest.mark.parametrize(
    ("after_match", "expected"),
    [
        ("no_skip", ["a0 a1 b3", "a0 a1 a2 b3", "a1 a2 b3"]),
        ("skip_to_next", ["a0 a1 a2 b3", "a1 a2 b3"]),
        ("skip_past_last_event", ["a0 a1 a2 b3"]),
    ],
)
def test_after_match(after_match: str, expected: list[str]) -> None:
    """What a match does to those that overlap it."""
    pattern = rule(step("a", times="2+"), step("b"), after_match=after_match)
    assert sorted(taken(match([pattern], events("aaab")))) == sorted(expected)


def test_a_finished_match_waits_for_an_earlier_run() -> None:
    """With a skip strategy it leaves when the earlier run has ended, here by its window."""
    pattern = rule(
        step("a"), step("b", where="props.n == a[0].props.n"),
        within="10s", after_match="skip_past_last_event",
    )  # fmt: skip
    log = events("aab")
    for event, number in zip(log, [1, 2, 2], strict=True):
        event["props"] = {"n": number}
    assert match([pattern], log) == []
    [found] = match([pattern], log, end_time=20_000)
    assert (taken([found]), found["at"]) == (["a1 b2"], 10_000)


def test_condition_on_earlier_steps() -> None:
    """Steps taken so far are lists of events in ``where``."""
    pattern = rule(step("a", times="1+"), step("b", where="size(a) == 2"))
    assert taken(match([pattern], events("aaab"))) == ["a0 a1 b3", "a1 a2 b3"]


def test_a_condition_that_fails_is_false() -> None:
    """A missing property is no match and no exception."""
    assert match([rule(step("a", where="props.price > 1.0"))], events("a")) == []


def test_order_of_matches() -> None:
    """By time; deadlines before events; then rule order; then start of the run."""
    absent = rule(step("a"), step("z", "not_followed_by"), within="2s") | {"rule": "absent"}
    both = rule(step("a"), step("x", "followed_by_any")) | {"rule": "both"}
    alone = rule(step("x")) | {"rule": "alone"}
    found = match([alone, both, absent], events("aax"), end_time=9000)
    assert [(one["at"], one["rule"], taken([one])[0]) for one in found] == [
        (2000, "absent", "a0"),
        (2000, "alone", "x2"),
        (2000, "both", "a0 x2"),
        (2000, "both", "a1 x2"),
        (3000, "absent", "a1"),
    ]


def test_users_are_alone() -> None:
    """Events of one user do not complete the runs of another, and clocks are their own."""
    log = events("ab")
    log[1]["user_id"] = "v"
    log[0]["event_time"] = 5000
    assert match([rule(step("a"), step("b"))], log) == []


def test_matches_hold_the_events_as_given() -> None:
    """Not a normalised form of them."""
    given = events("a")[0] | {"props": {}, "page_id": None}
    [found] = match([rule(step("a"))], [given])
    assert found == {
        "rule": "r",
        "version": 1,
        "kind": "match",
        "user_id": "u",
        "at": 0,
        "steps": {"a": [given]},
    }


def test_falling_times_are_refused() -> None:
    """The message names the user."""
    with pytest.raises(ValueError, match="user 'u' fall from 9000 to 1000"):
        match([rule(step("a"))], events("aa", a0=9000))


def test_faulty_rules_are_refused() -> None:
    """Before any event is looked at."""
    with pytest.raises(ConfigInvalid):
        match([{}], [])
