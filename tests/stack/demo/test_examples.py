"""The example configs over the simulated shop, in the plain cores: what the demo will show."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from configs.assemble import assemble
from stack.demo import scored
from stack.demo.pushed import Pushed
from stack.demo.tally import Tally
from stack.demo.traffic import Message, Shop, traffic
from tests.stack.demo.scoring import Shelf
from udfs.decisions.memory import MemoryStore
from udfs.decisions.program import Program
from udfs.decisions.shard import Shard
from udfs.decisions.shard_settings import ShardSettings

START_MS = 1_800_000_000_000
BATCH_MS = 200
SECONDS = 16
EXAMPLES = Path(__file__).resolve().parents[3] / "configs" / "examples"


def program(revision: int, *changes: Path) -> Program:
    """The example configs, compiled."""
    return Program.compile(
        revision, json.loads(assemble(EXAMPLES, revision, changes)), ["decisions"]
    )


def batches(messages: Iterator[Message]) -> Iterator[tuple[int, list[Message]]]:
    """Records by the batch in which they arrive, with the batch's end."""
    for number, batch in itertools.groupby(messages, lambda m: (m.due_ms - START_MS) // BATCH_MS):
        yield START_MS + (number + 1) * BATCH_MS, list(batch)


Course = tuple[Counter[str], list[dict[str, Any]], dict[str, int]]

PUSHES = (
    Pushed(1, 0, {"user": 1, "item": 1}, {"ctr_small": 1}, "at the start"),
    Pushed(2, 0, {"user": 1, "item": 1}, {"ctr_small": 1}, "a rule"),
    Pushed(3, 0, {"user": 2, "item": 1}, {"ctr_small": 1}, "a table"),
    Pushed(4, 0, {"user": 2, "item": 1}, {"ctr_small": 2}, "a model"),
)


def course(first: Program, switches: Mapping[float, Callable[[], Program]]) -> Course:
    """Kinds of records sent, decisions, and counts.

    Args:
        first: In force at the start.
        switches: What comes later, by seconds.
    """
    settings = ShardSettings(out_of_orderness_ms=2_000)
    shard = Shard(0, MemoryStore(), settings, first, START_MS)
    end_ms = START_MS + SECONDS * 1_000
    messages = itertools.takewhile(
        lambda m: m.due_ms < end_ms, traffic(1, START_MS, Shop(rate=1_000))
    )
    sent: Counter[str] = Counter()
    decisions, counts, offset = [], {}, 0
    waiting = sorted(switches.items())
    for now_ms, batch in batches(messages):
        sent.update(message.kind for message in batch)
        while waiting and now_ms > START_MS + waiting[0][0] * 1_000:
            shard.switch(waiting.pop(0)[1]())
        records = shard.process(
            [m.key for m in batch], [m.value for m in batch], [0] * len(batch),
            range(offset, offset + len(batch)), now_ms,
        )  # fmt: skip
        offset += len(batch)
        decisions += [json.loads(r.value) for r in records if r.topic == "decisions"]
    for record in shard.ring(end_ms, end_ms + 60_000):
        if record.topic == "control" and (value := json.loads(record.value))["kind"] == "counts":
            counts = value["counts"]
    return sent, decisions, counts


@pytest.fixture(scope="module")
def run() -> Course:
    """The plain examples; the rule is changed at half time."""
    return course(program(1), {SECONDS / 2: lambda: program(2, EXAMPLES / "changed_rule.json")})


@pytest.fixture(scope="module")
def scored_run(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The scored examples; rule, table and model are changed one after the other."""
    shelf = Shelf(tmp_path_factory.mktemp("history"))
    changed = EXAMPLES / "changed_rule.json"
    first, rule, table, model = PUSHES
    return course(
        shelf.program(first),
        {
            SECONDS * 0.4: lambda: shelf.program(rule, changed),
            SECONDS * 0.6: lambda: shelf.program(table, changed),
            SECONDS * 0.8: lambda: shelf.program(model, changed),
        },
    )


@pytest.fixture(params=["run", "scored_run"], ids=["plain", "scored"])
def either(request: pytest.FixtureRequest) -> Course:
    """Both of them."""
    found: Course = request.getfixturevalue(request.param)
    return found


def test_flaws_end_where_they_belong(either: Course) -> None:
    """Broken ones are dead, repeats doubled, late ones late but for a few at the start."""
    sent, _, counts = either
    assert counts["in"] == sum(sent.values())
    assert counts["in"] == sum(counts[name] for name in ("applied", "late", "dead", "doubled"))
    assert counts["dead"] == sent["broken"] > 0
    assert counts["doubled"] == sent["doubled"] > 0
    assert sent["late"] - 5 <= counts["late"] <= sent["late"]


def test_every_flow_decides(either: Course) -> None:
    """None of them is there for nothing."""
    flows = Counter(decision["flow"] for decision in either[1])
    assert min(flows[name] for name in ("offer", "reminder", "thanks")) >= 5


def test_the_changed_rule_is_seen(run: Course) -> None:
    """It decides at least twice as often."""
    revisions = Counter(d["revision"] for d in run[1] if d["flow"] == "offer")
    assert revisions[2] > 2 * revisions[1] > 0


def test_nothing_goes_wrong_in_an_expression(either: Course) -> None:
    """The example configs fit the events."""
    _, decisions, counts = either
    assert counts["expression_errors"] == 0
    assert not any("errors" in decision["reason"] for decision in decisions)


def test_scored_decisions_are_what_the_demo_checks(scored_run: Course) -> None:
    """The demo's own verdict on them, and its counter-check: other releases are faults."""
    _, decisions, counts = scored_run
    tally = Tally(counts={0: counts}, shard_revisions={0: 4}, applied_s={4: 0.0})
    for decision in decisions:
        tally.take("decisions", json.dumps(decision).encode(), {}, 0.0)
    assert scored.faults(tally, PUSHES) == []
    assert len(scored.groups(tally.decisions)) == 3
    assert "were made under revision 3" in "".join(scored.faults(tally, PUSHES[:2] + PUSHES[3:]))


def test_those_who_are_not_known_have_defaults_with_reasons(scored_run: Course) -> None:
    """Users and items without a row, ages that are null."""
    _, decisions, counts = scored_run
    found = {
        (name, reason)
        for decision in decisions
        for name, reason in decision["reason"].get("defaults", {}).items()
    }
    assert {("user", "NO_ROW"), ("item", "NO_ROW"), ("user.age_band", "NULL")} <= found
    assert counts["failed_reads"] == 0


def test_an_unlikely_click_is_not_asked_for(scored_run: Course) -> None:
    """The score decides, and is told."""
    offers = [decision for decision in scored_run[1] if decision["flow"] == "offer"]
    assert all(offer["scores"]["ctr"] > 0.1 for offer in offers)
    assert all(
        offer["payload"]["click_percent"] == int(offer["scores"]["ctr"] * 100) for offer in offers
    )
