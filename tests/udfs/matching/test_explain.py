"""The account of what became of each run."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.matching.differential.cases import draw
from tests.udfs.matching.differential.ours import answer, rule_of
from udfs.errors import ConfigInvalid
from udfs.events.event import Event
from udfs.matching import explain as module
from udfs.matching import judge, wording
from udfs.matching.courses import Course
from udfs.matching.explain import MOST, Explainer, explain


def log(*given: tuple[str, int] | tuple[str, int, dict[str, Any]]) -> list[Event]:
    """Events of one user: type, time and properties."""
    return [
        Event(str(index), kind, "u", time, props=props[0] if props else {})
        for index, (kind, time, *props) in enumerate(given, 1)
    ]


def rule(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Give a rule."""
    return {"rule": "r", "version": 1, "pattern": list(steps), **keys}


def runs(given: dict[str, Any], events: list[Event], end: int | None = None) -> list[Course]:
    """Give what became of the runs of one rule."""
    [found] = explain([given], events, end)
    return found.runs


def brief(course: Course) -> tuple[str, str, int | None]:
    """Give the events taken, and the ending."""
    return (
        " ".join(f"{one.step}{one.event_id}" for one in course.taken),
        course.ending.kind,
        course.ending.at,
    )


A = {"step": "a", "event": "a"}
B = {"step": "b", "event": "b", "where": "props.x == last(a).props.y"}
ANY = {"step": "b", "event": "b"}


def test_a_match_names_the_events_that_moved_it() -> None:
    """With step, type and time."""
    [run] = runs(rule(A, ANY), log(("a", 5), ("z", 6), ("b", 7)))
    assert brief(run) == ("a1 b3", "match", 7)
    assert [(one.event_type, one.time) for one in run.taken] == [("a", 5), ("b", 7)]
    assert run.matches == [7]


def test_a_condition_that_is_false_is_told_with_its_values() -> None:
    """Those of the event and those of the steps before."""
    [run] = runs(rule(A, B), log(("a", 5, {"y": "s"}), ("z", 6), ("b", 7, {"x": "t"})))
    assert brief(run) == ("a1", "open", None)
    assert run.waited_for == ["b"]
    assert run.passed_over == 2
    assert run.refusals == 1
    [refusal] = run.refused
    assert (refusal.step, refusal.event_id, refusal.why) == ("b", "3", "false")
    assert refusal.condition == "b where props.x == last(a).props.y"
    assert refusal.values == {"props.x": '"t"', "last(a).props.y": '"s"'}


def test_an_error_is_told_with_its_text() -> None:
    """Of the condition, and of the value that is not there."""
    [run] = runs(rule(A, B), log(("a", 5), ("b", 7, {"x": 1})))
    [refusal] = run.refused
    assert refusal.why.startswith("error: ")
    assert refusal.values["last(a).props.y"].startswith("error: ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("props.x.startsWith('props.no') && size(a) > 1", ["props.x", "size(a)"]),
        ("a.exists(v, v.props.y == props.x)", ["props.x"]),
        ("has(event.page_id) || event_time > 100", ["event.page_id", "event_time"]),
        ("a[0].props.l[1] == '\\'x'", ["a[0].props.l[1]"]),
        ("true", []),
    ],
    ids=str,
)
def test_what_a_condition_reads(text: str, names: list[str]) -> None:
    """Fields, elements and sizes; no functions, no variables of macros, nothing in strings."""
    given = rule(A, {"step": "b", "event": "b", "times": "1+", "where": text})
    explainer = Explainer(given)
    [found] = [one for one in explainer.machine.predicates if one.text == text]
    assert [read.text for read in explainer._judge._read(str(found.text))] == names


def test_a_window_that_passed() -> None:
    """Silent, or reported as a time-out."""
    given = rule(A, ANY, within="10ms")
    assert [brief(run) for run in runs(given, log(("a", 5), ("b", 15)))] == [("a1", "window", 15)]
    reported = runs(given | {"timeouts": True}, log(("a", 5)), 99)
    assert [brief(run) for run in reported] == [("a1", "timeout", 15)]


def test_a_gap_that_passed() -> None:
    """Shorter than the window."""
    given = rule(A, ANY | {"gap": {"max": "3ms"}}, within="10ms")
    [run] = runs(given, log(("a", 5), ("z", 9)))
    assert brief(run) == ("a1", "gap", 8)
    early = runs(rule(A, ANY | {"gap": {"min": "3ms"}}), log(("a", 5), ("b", 6)))
    assert early[0].refused[0].why == "only 1ms since the step before"


def test_an_absence_that_was_none() -> None:
    """The event and its condition are named."""
    absent = {"step": "no", "event": "c", "then": "not_followed_by", "where": "props.x > 1"}
    [run] = runs(rule(A, absent, ANY), log(("a", 1), ("c", 2, {"x": 1}), ("c", 3, {"x": 2})))
    assert brief(run) == ("a1", "stopped", 3)
    assert run.ending.why == "event 3 (c) is no, which must not be: c where props.x > 1"


def test_an_absence_at_the_end_waits_for_the_window() -> None:
    """And says so."""
    given = rule(A, ANY | {"then": "not_followed_by"}, within="10ms")
    [run] = runs(given, log(("a", 1)))
    assert run.waited_for == ["the end of the window"]
    assert [brief(one) for one in runs(given, log(("a", 1)), 50)] == [("a1", "match", 11)]


def test_next_is_broken_by_any_event() -> None:
    """Why it was not the right one is told, its type as well."""
    [run] = runs(rule(A, B | {"then": "next"}), log(("a", 1), ("z", 2)))
    assert brief(run) == ("a1", "broken", 2)
    assert run.ending.why.startswith("event 2 (z) had to be the next step: b takes b where")
    assert run.ending.why.endswith(": the event is z")


def test_pruned_by_the_skip_strategy() -> None:
    """By the match that took its place."""
    given = rule(A, ANY, after_match="skip_past_last_event")
    found = runs(given, log(("a", 1), ("a", 2), ("b", 3)))
    assert [brief(run) for run in found] == [("a1 b3", "match", 3), ("a2 b3", "pruned", 3)]
    assert found[1].ending.why.startswith("skip_past_last_event: a match that began at event 1")


def test_held_back() -> None:
    """A finished match waits for a run that began earlier."""
    steps = [{"step": "a", "event": ["a", "c"]}, {"step": "b", "event": "b",
             "where": "props.x == last(a).props.x"}]  # fmt: skip
    events = log(("a", 1, {"x": 1}), ("c", 2, {"x": 2}), ("b", 3, {"x": 2}), ("b", 4, {"x": 1}))
    given = rule(*steps, after_match="skip_to_next")
    assert [brief(run) for run in runs(given, events[:3])] == [
        ("a1", "open", None), ("a2 b3", "held", None)]  # fmt: skip
    assert [brief(run) for run in runs(given, events)] == [
        ("a1 b4", "match", 4), ("a2 b3", "match", 4)]  # fmt: skip


@pytest.mark.parametrize("skip", ["no_skip", "skip_to_next"])
@pytest.mark.parametrize(("how", "gone"), [("drop_oldest", "a1"), ("drop_newest", "a2")])
def test_dropped_by_overflow(how: str, gone: str, skip: str) -> None:
    """The one that the rule says."""
    given = rule(A, ANY, max_runs=1, on_overflow=how, after_match=skip)
    found = {brief(run) for run in runs(given, log(("a", 1), ("a", 2)))}
    assert (gone, "overflow", 2) in found
    assert len(found) == 2


def test_no_run_began() -> None:
    """Events of the right type that the first step refused are told."""
    [found] = explain(
        [rule(A | {"where": "props.x > 1"})], log(*[("a", n, {"x": 0}) for n in range(9)])
    )
    assert found.runs == []
    assert found.not_begun_count == 9
    assert [one.event_id for one in found.not_begun] == ["7", "8", "9"]
    assert found.not_begun[0].values == {"props.x": "0"}


def test_a_greedy_step_and_until_hold_back() -> None:
    """A condition that holds and must not is a reason as well."""
    loop = A | {"times": "1+", "until": "props.x > 1"}
    [one, *_] = runs(
        rule(loop, {"step": "b", "event": "b"}), log(("a", 1, {"x": 0}), ("a", 2, {"x": 9}))
    )
    assert ("where props.x > 1", "holds, and must not") in {
        (refusal.condition, refusal.why) for refusal in one.refused
    }


def test_runs_without_a_match_are_counted_beyond_some() -> None:
    """So that a long log does not fill the memory."""
    events = log(*[("a", n * 10) for n in range(MOST + 5)])
    [found] = explain([rule(A, ANY, within="1ms")], events)
    assert len(found.runs) == MOST + 1
    assert found.left_out == {"window": 4}


def test_faults_are_refused() -> None:
    """As everywhere."""
    with pytest.raises(ConfigInvalid, match=r"rules\[1\]\.pattern"):
        explain([rule(A), rule()], [])


@pytest.mark.parametrize("unit", [module, judge, wording], ids=lambda unit: unit.__name__)
def test_examples(unit: Any) -> None:
    """Those in the docstrings."""
    assert doctest.testmod(unit).failed == 0


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([None, 2, 5]), st.booleans())
def test_matches_are_those_of_the_machine(number: int, cap: int | None, newest: bool) -> None:  # noqa: FBT001 - drawn
    """For any rule and events; each match is a run with that ending, and none is without one."""
    case = draw(7, number)
    expected = answer(case)
    if "refused" in expected:
        return
    given_rule = rule_of(case)
    if cap is not None:
        given_rule |= {"max_runs": cap, "on_overflow": "drop_newest" if newest else "drop_oldest"}
    events = [
        Event(str(index), one["type"], "u", one["t"], props={"x": one["x"]})
        for index, one in enumerate(case["events"])
    ]
    explainer = Explainer(given_rule)
    found = [match for event in events for match in explainer.advance(event, event.event_time)]
    found += explainer.due("u", case["end"])
    if cap is None:
        told = [
            {
                "kind": one.kind,
                "at": one.at,
                "steps": {
                    name: [int(event.event_id) for event in taken]
                    for name, taken in one.steps.items()
                },
            }
            for one in found
        ]
        assert told == expected["found"]
    explanation = explainer.explanation()
    assert explanation.matches == len(found)
    courses = {
        tuple((one.event_id, one.step) for one in run.taken): run for run in explanation.runs
    }
    assert len(courses) == len(explanation.runs)
    told_of: dict[tuple[tuple[str, str], ...], tuple[list[int], list[int]]] = {}
    for match in found:
        chain = tuple(
            sorted(
                ((event.event_id, name) for name, taken in match.steps.items() for event in taken),
                key=lambda link: int(link[0]),
            )
        )
        told_of.setdefault(chain, ([], []))[match.kind == "timeout"].append(match.at)
    reported = {
        chain: (run.matches, run.timeouts)
        for chain, run in courses.items()
        if run.matches or run.timeouts
    }
    assert reported == told_of
    limited = case["within"] is not None or "gap_max" in str(case) or "repeat_within" in str(case)
    for run in explanation.runs:
        kind = run.ending.kind
        assert kind not in ("timeout", "window", "gap") or limited
        assert kind != "overflow" or cap is not None
        assert kind != "pruned" or case["skip"] != "no_skip"
        assert kind != "match" or run.matches
        assert run.taken
        assert run.ending.why
