"""Flows: faults with their places, and decisions that keep their schema."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.udfs.decisions.logs import PARTS, program, record
from udfs.decisions.decision import decision_id
from udfs.decisions.limits import Limit, parse_limit
from udfs.decisions.memory import MemoryStore
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings
from udfs.errors import ConfigInvalid
from udfs.schemas import validator


def with_flow(**changes: Any) -> dict[str, list[Any]]:
    """The parts with one flow, changed."""
    parts = copy.deepcopy(PARTS)
    flow = {**parts["flows"][0], **changes}
    parts["flows"] = [{key: value for key, value in flow.items() if value is not None}]
    return parts


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"flow": "1st"}, "flows[0].flow", "does not match"),
        ({"version": 0}, "flows[0].version", "minimum"),
        ({"colour": "red"}, "flows[0]", "colour"),
        ({"action": None}, "flows[0]", "action"),
        ({"trigger": {"rule": "nobody"}}, "flows[0].trigger.rule", "no rule is called 'nobody'"),
        ({"features": ["views_10s", "ghost"]}, "flows[0].features[1]", "ghost"),
        ({"limit": {"per_user": "often"}}, "flows[0].limit.per_user", "write count/duration"),
        ({"limit": {"per_user": "0/1d"}}, "flows[0].limit.per_user", "between 1 and"),
        ({"action": {"topic": "else", "payload": {}}}, "flows[0].action.topic", "action_topics"),
        ({"action": {"payload": {"x": "cart[0].props.sku"}}}, "flows[0].action.payload.x", "cart"),
        ({"action": {"when": "at >", "payload": {}}}, "flows[0].action.when:1:", ""),
        ({"logic": [{"let": "f", "be": "1"}]}, "flows[0].logic[0].let", "taken"),
        (
            {"logic": [{"let": "a", "be": "b"}, {"let": "b", "be": "1"}]},
            "flows[0].logic[0].be",
            "b",
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_faults_name_their_place(changes: dict[str, Any], place: str, words: str) -> None:
    """JSON path, problem and cure."""
    with pytest.raises(ConfigInvalid) as caught:
        program(1, with_flow(**changes))
    found = [fault for fault in caught.value.faults if fault.where.startswith(place)]
    assert found, caught.value.faults
    assert words in str(found[0])


def test_two_flows_of_one_name() -> None:
    """Are refused, naming the first."""
    parts = with_flow()
    parts["flows"].append(parts["flows"][0])
    with pytest.raises(ConfigInvalid, match=r"flows\[1\].flow.*stands at flows\[0\]"):
        program(1, parts)


def test_a_faulty_rule_does_not_blame_the_flow() -> None:
    """The flow that refers to it is checked against its name and steps all the same."""
    parts = copy.deepcopy(PARTS)
    parts["rules"][0]["within"] = "soon"
    with pytest.raises(ConfigInvalid) as caught:
        program(1, parts)
    assert {fault.where.split(".")[0] for fault in caught.value.faults} == {"rules[0]"}


def decide(parts: dict[str, list[Any]], **props: Any) -> dict[str, Any]:
    """The one decision of a view and a pay."""
    shard = Shard(0, MemoryStore(), ShardSettings(idle_advance_ms=None), program(1, parts), 0)
    records = [
        record(1, "u", "view", 0, **{"price": 15.0, "sku": "x", **props}),
        record(2, "u", "pay", 1, **{"price": 15.0, "sku": "x", **props}),
    ]
    (found,) = [
        out
        for out in shard.process(
            [r.key for r in records], [r.value for r in records], [0, 0], [1, 2], 10**13
        )
        if out.topic == "decisions"
    ]
    decision: dict[str, Any] = json.loads(found.value)
    validator("udfs.decisions", "decision.schema.json").validate(decision)
    # The log begins with these events: see test_incomplete.py.
    assert set(decision["reason"].pop("incomplete")) == {"views_10s", "last_sku"}
    return decision


def test_let_values_build_on_each_other() -> None:
    """In order; the decision shows them and the condition that held."""
    decision = decide(
        with_flow(
            logic=[{"let": "n", "be": "f['views_10s'] + 1"}, {"let": "many", "be": "n >= 2"}],
            action={"when": "many && subject == 'u'", "payload": {"n": "n", "s": "size(view)"}},
        )
    )
    assert decision["values"] == {"n": 2, "many": True}
    assert decision["payload"] == {"n": 2, "s": 1}
    assert decision["reason"] == {"kind": "CONDITION_TRUE", "when": "many && subject == 'u'"}


def test_errors_are_told_and_null() -> None:
    """A let-value or payload that fails on one event does not stop the decision."""
    decision = decide(
        with_flow(
            logic=[{"let": "ghost", "be": "view[0].props.ghost"}],
            action={"payload": {"g": "view[7].props.sku", "sku": "view[0].props.sku"}},
        )
    )
    assert decision["values"] == {"ghost": None}
    assert decision["payload"] == {"g": None, "sku": "x"}
    assert set(decision["reason"]["errors"]) == {"logic[0].be", "action.payload.g"}


def test_decision_ids() -> None:
    """The same after a replay and a push; other for another flow, subject or event."""
    known = decision_id("f", "u", ["e1"])
    assert known == decision_id("f", "u", ["e1"])
    assert len({known, decision_id("g", "u", ["e1"]), decision_id("f", "v", ["e1"]),
                decision_id("f", "u", ["e2"]), decision_id("f", "u", ["e", "1"])}) == 5  # fmt: skip


def test_limits() -> None:
    """Times in (t - period, t] count."""
    limit = parse_limit("2/10s")
    assert limit == Limit(2, 10_000)
    times = [0, 5_000]
    assert not limit.allows(times, 9_999)
    assert limit.allows(times, 10_000)
    limit.forget(times, 9_999)
    assert times == [0, 5_000]
    limit.forget(times, 10_000)
    assert times == [5_000]
