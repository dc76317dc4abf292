"""Every fault of a rule: where it is, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from udfs.errors import ConfigInvalid
from udfs.matching import Machine


def faults(*rules: Any) -> list[tuple[str, str]]:
    """Give path and text of all faults."""
    try:
        Machine.compile(list(rules))
    except ConfigInvalid as error:
        return [(fault.where, f"{fault.problem}: {fault.cure}") for fault in error.faults]
    return []


def rule(*steps: Any, **keys: Any) -> dict[str, Any]:
    """Give a rule."""
    return {"rule": "r", "version": 1, "pattern": list(steps), **keys}


A = {"step": "a"}
B = {"step": "b"}
C = {"step": "c"}
LOOP = {"step": "a", "times": "1+"}
ABSENT = B | {"then": "not_next"}


@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        (7, "rules[0]", "object"),
        ({"version": 1, "pattern": [A]}, "rules[0].rule", "missing"),
        (rule(A) | {"version": "3"}, "rules[0].version", "integer"),
        (rule(A) | {"version": True}, "rules[0].version", "integer"),
        (rule(A) | {"rule": "a\n"}, "rules[0].rule", "letters"),
        (rule(A, priority="high"), "rules[0].priority", "integer"),
        (rule(A, whithin="5s"), "rules[0].whithin", "did you mean 'within'"),
        (rule(A, within=5), "rules[0].within", "30m"),
        (rule(A, within="5 minutes"), "rules[0].within", "30m"),
        (rule(A, within="0s"), "rules[0].within", "above zero"),
        (rule(A, timeouts=True), "rules[0].timeouts", "within"),
        (rule(A, max_runs=0), "rules[0].max_runs", "from 1"),
        (rule(A, on_overflow="drop"), "rules[0].on_overflow", "drop_oldest"),
        (rule(A, after_match="skip"), "rules[0].after_match", "no_skip"),
        (rule(A, after_match={"skip_to_first": "x"}), "rules[0].after_match.skip_to_first", "no "),
        (rule(A, mode="dark"), "rules[0].mode", "shadow"),
        (rule(A, max_matches_per_minute=0), "rules[0].max_matches_per_minute", "from 1"),
        (rule(A, state="finish_old"), "rules[0].state", "window"),
        (rule(A, state="keep", within="1s"), "rules[0].state", "finish_old"),
        (rule(), "rules[0].pattern", "1 to 50"),
        (rule("a"), "rules[0].pattern[0]", "object"),
        (rule({"event": "x"}), "rules[0].pattern[0].step", "missing"),
        (rule({"step": "a-b"}), "rules[0].pattern[0].step", "expression"),
        (rule({"step": "props"}), "rules[0].pattern[0].step", "something else"),
        (rule(A, A), "rules[0].pattern[1].step", "already"),
        (rule(A | {"then": "next"}), "rules[0].pattern[0].then", "before the first"),
        (rule(A, B | {"then": "nxt"}), "rules[0].pattern[1].then", "followed_by"),
        (rule(A | {"event": []}), "rules[0].pattern[0].event", "one event type"),
        (rule(A | {"event": ["x", "x"]}), "rules[0].pattern[0].event", "list of types"),
        (rule(A | {"event": ["x", 1]}), "rules[0].pattern[0].event[1]", "event type"),
        (rule(A | {"times": 0}), "rules[0].pattern[0].times", "2..5"),
        (rule(A | {"times": "0"}), "rules[0].pattern[0].times", "2..5"),
        (rule(A | {"times": "+2"}), "rules[0].pattern[0].times", "2..5"),
        (rule(A | {"times": "5..2"}), "rules[0].pattern[0].times", "smaller first"),
        (rule(A | {"times": 999}), "rules[0].pattern[0].times", "200"),
        (rule(A | {"inner": "relaxed"}), "rules[0].pattern[0].inner", "times"),
        (rule(A, B | {"then": "not_next", "times": 2}), "rules[0].pattern[1].times", "not_next"),
        (
            rule(A, B | {"then": "not_next", "optional": True}),
            "rules[0].pattern[1].optional",
            "cannot",
        ),
        (
            rule(A | {"optional": True}, B | {"then": "not_next"}),
            "rules[0].pattern[1].then",
            "optional",
        ),
        (rule(A, B | {"then": "not_followed_by"}), "rules[0].pattern[1].then", "within"),
        (rule(A | {"steps": []}), "rules[0].pattern[0].steps", "1 to 50"),
        (rule(A | {"where": "1 + 1"}), "rules[0].pattern[0].where", "condition"),
    ],
    ids=str,
)
def test_one_fault(given: Any, where: str, text: str) -> None:
    """A rule with one fault has exactly this one."""
    [(path, message)] = faults(given)
    assert path == where
    assert text in message


@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        # Flink: Option not applicable to NOT pattern
        (rule(A, ABSENT | {"times": "1+"}), "pattern[1].times", "not_next"),
        (rule(A, ABSENT | {"until": "true"}), "pattern[1].until", "not_next"),
        # Flink: Option not applicable to group pattern
        (rule({"steps": [A], "greedy": True, "times": 2}), "pattern[0].greedy", "a group"),
        # Flink: Option not applicable to singleton quantifier
        (rule(A | {"greedy": True}), "pattern[0].greedy", "repeats"),
        # Flink: Option not applicable to FollowedByAny pattern
        (rule(LOOP | {"inner": "combinations", "greedy": True}), "pattern[0].greedy", "combin"),
        # Flink: Optional pattern cannot be preceded by greedy pattern
        (rule(LOOP | {"greedy": True}, B | {"optional": True}), "pattern[1].optional", "greedy"),
        # Flink: Optional already applied!
        (rule(A | {"times": "0..2", "optional": True}), "pattern[0].optional", "already"),
        # Flink: The until condition is only applicable to looping states.
        (rule(A | {"until": "true"}), "pattern[0].until", "upper bound"),
        (rule(A | {"until": "true", "times": "1..3"}), "pattern[0].until", "upper bound"),
        # Flink: an optional path to NOT condition is not supported yet
        (
            rule(A, {"steps": [B], "then": "next", "optional": True}, C | {"then": "not_next"}),
            "pattern[2].then",
            "optional",
        ),
        # Flink: GroupPattern does not support where clause
        (rule({"steps": [A], "where": "true"}), "pattern[0].where", "a group"),
        (rule({"steps": [A], "event": "x"}), "pattern[0].event", "a group"),
        # Flink has no method for it
        (rule(A, {"steps": [B], "then": "not_next"}), "pattern[1].then", "absent"),
        (rule({"steps": [A | {"then": "next"}]}), "pattern[0].steps[0].then", "the group"),
        # Flink: The window length between the previous and current event cannot be larger …
        (rule(A, B | {"gap": {"max": "2s"}}, within="1s"), "pattern[1].gap.max", "within"),
        (
            rule(A | {"times": 2, "repeat_within": "2s"}, within="1s"),
            "pattern[0].repeat_within",
            "within",
        ),
        # Flink: The pattern name specified in AfterMatchSkipStrategy can not be found
        (
            rule(A, {"steps": [B], "then": "next"}, after_match={"skip_to_last": "b"}),
            "after_match.skip_to_last",
            "inside a group",
        ),
        # Flink: duplicate names
        (rule(A, {"steps": [A]}), "pattern[1].steps[0].step", "already"),
        # Flink's builder takes it and its matcher never returns
        (
            rule(A, {"steps": [B | {"optional": True}], "times": "1+"}),
            "pattern[1].steps",
            "never end",
        ),
        (
            rule({"steps": [{"steps": [A | {"times": "0..2"}], "times": 2}], "times": "2+"}),
            "pattern[0].steps",
            "never end",
        ),
        # Ours
        (rule(A | {"gap": {"min": "1s"}}), "pattern[0].gap.min", "before the first"),
        (rule(A, B | {"gap": {"min": "0s"}}), "pattern[1].gap.min", "above zero"),
        (rule(A, B | {"gap": {}}), "pattern[1].gap", "max"),
        (rule(A, B | {"gap": {"mx": "1s"}}), "pattern[1].gap.mx", "did you mean 'max'"),
        (rule(A | {"repeat_within": "1s"}), "pattern[0].repeat_within", "repeats"),
        (rule({"times": 2}), "pattern[0].step", "missing"),
        (rule({"steps": [{"evnt": "x", "step": "a"}]}), "pattern[0].steps[0].evnt", "event"),
        (rule(A, {"steps": [A | {"step": "b"}], "times": 200}), "pattern", ""),
        (rule(A, B | {"where": "size(c) > 0"}, C), "pattern[1].where:1:6", "unknown name 'c'"),
        (rule(LOOP | {"until": "size(b) > 0"}, B), "pattern[0].until:1:6", "unknown name 'b'"),
    ],
    ids=str,
)
def test_what_flink_refuses(given: Any, where: str, text: str) -> None:
    """Every refusal of Flink's builder and compiler is ours too, and loops without an end."""
    found = faults(given)
    if not text:
        assert found == []
        return
    [(path, message)] = found
    assert path == f"rules[0].{where}"
    assert text in message


def test_next_after_an_absence_is_allowed() -> None:
    """As in Flink: nothing then comes between, so that only the very next event matters."""
    for then in ("not_next", "not_followed_by"):
        assert faults(rule(A, B | {"then": then}, C | {"then": "next"})) == []


def test_nesting_is_bounded() -> None:
    """A thousand levels are refused before anything walks down them."""
    group: dict[str, Any] = {"steps": [A]}
    for _ in range(1_000):
        group = {"steps": [group]}
    [(path, message)] = faults(rule(group))
    assert path == "rules[0]"
    assert "nested deeper" in message


def test_ways_are_bounded() -> None:
    """Optional groups of optional steps double the ways to read an event; Flink tries them all."""
    groups = [
        {"steps": [{"step": f"s{index}", "optional": True}], "optional": True}
        for index in range(30)
    ]
    [(path, message)] = faults(rule(A, *groups))
    assert path == "rules[0].pattern"
    assert "too many ways" in message


def test_an_earlier_round_may_be_looked_at() -> None:
    """In a repeated group every step of it may have been taken before."""
    group = {"steps": [A | {"where": "size(b) < 2"}, B], "times": "1+", "until": "size(b) > 3"}
    assert faults(rule(group)) == []
    once = {"steps": [A | {"where": "size(b) < 2"}, B]}
    assert [path for path, _ in faults(rule(once))] == ["rules[0].pattern[0].steps[0].where:1:6"]


@pytest.mark.parametrize("text", ["props.x >", "b[0].event_time > 0", "a[0].event_time > 0"])
def test_expressions_name_their_place(text: str) -> None:
    """A broken text, a later step and the step itself are refused with line and column."""
    [(path, _)] = faults(rule(A | {"where": text}, B))
    assert path.startswith("rules[0].pattern[0].where:1:")


def test_a_repeated_step_sees_its_own_repeats() -> None:
    """As in Flink, where a loop may compare with what it has taken."""
    assert faults(rule(A | {"times": "1+", "where": "size(a) < 3"})) == []


def test_absent_steps_cannot_be_named() -> None:
    """They never hold an event."""
    steps = [A, B | {"then": "not_next"}, {"step": "c", "where": "size(b) == 0"}]
    [(path, _)] = faults(rule(*steps))
    assert path.startswith("rules[0].pattern[2].where:1:")


def test_too_many_states_are_refused_fast() -> None:
    """The repeats of all steps together are bounded."""
    steps = [{"step": f"s{index}", "times": 200} for index in range(50)]
    [(path, message)] = faults(rule(*steps))
    assert path == "rules[0].pattern"
    assert "10000" in message


def test_all_faults_of_all_rules_at_once() -> None:
    """Shape, meaning and expressions, of every rule."""
    bad = rule(
        {"step": "a", "then": "next", "evnt": "x"},
        {"step": "b", "where": "nobody > 1", "greedy": True},
        within="soon",
        version=0,
    ) | {"rule": "bad"}
    paths = [path for path, _ in faults(bad, rule(A), rule(A))]
    assert sorted(paths) == [
        "rules[0].pattern[0].evnt",
        "rules[0].pattern[0].then",
        "rules[0].pattern[1].greedy",
        "rules[0].pattern[1].where:1:1",
        "rules[0].version",
        "rules[0].within",
        "rules[2].rule",
    ]


def test_the_rules_must_be_a_list() -> None:
    """Not one rule on its own."""
    with pytest.raises(ConfigInvalid, match="not a list"):
        Machine.compile(rule(A))  # type: ignore[arg-type]


def test_the_path_begins_where_the_caller_says() -> None:
    """A manifest holds the rules somewhere inside."""
    with pytest.raises(ConfigInvalid, match=r"manifest\.rules\[0\]"):
        Machine.compile([7], where="manifest.rules")  # type: ignore[list-item]
