"""The example configs over the simulated shop, in the plain cores: what the demo will show."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.assemble import assemble
from stack.demo.traffic import Message, Shop, traffic
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


@pytest.fixture(scope="module")
def run() -> tuple[Counter[str], list[dict[str, Any]], dict[str, int]]:
    """Kinds of records sent, decisions, and counts; the rule is changed at half time."""
    settings = ShardSettings(out_of_orderness_ms=2_000)
    shard = Shard(0, MemoryStore(), settings, program(1), START_MS)
    end_ms = START_MS + SECONDS * 1_000
    messages = itertools.takewhile(
        lambda m: m.due_ms < end_ms, traffic(1, START_MS, Shop(rate=1_000))
    )
    sent: Counter[str] = Counter()
    decisions, counts, offset = [], {}, 0
    for now_ms, batch in batches(messages):
        sent.update(message.kind for message in batch)
        if now_ms > START_MS + SECONDS * 500:
            shard.switch(program(2, EXAMPLES / "changed_rule.json"))
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


def test_flaws_end_where_they_belong(run: Any) -> None:
    """Broken ones are dead, repeats doubled, late ones late but for a few at the start."""
    sent, _, counts = run
    assert counts["in"] == sum(sent.values())
    assert counts["in"] == sum(counts[name] for name in ("applied", "late", "dead", "doubled"))
    assert counts["dead"] == sent["broken"] > 0
    assert counts["doubled"] == sent["doubled"] > 0
    assert sent["late"] - 5 <= counts["late"] <= sent["late"]


def test_every_flow_decides(run: Any) -> None:
    """None of them is there for nothing."""
    flows = Counter(decision["flow"] for decision in run[1])
    assert min(flows[name] for name in ("offer", "reminder", "thanks")) >= 5


def test_the_changed_rule_is_seen(run: Any) -> None:
    """It decides at least twice as often."""
    revisions = Counter(d["revision"] for d in run[1] if d["flow"] == "offer")
    assert revisions[2] > 2 * revisions[1] > 0


def test_nothing_goes_wrong_in_an_expression(run: Any) -> None:
    """The example configs fit the events."""
    _, decisions, counts = run
    assert counts["expression_errors"] == 0
    assert not any("errors" in decision["reason"] for decision in decisions)
