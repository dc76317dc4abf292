"""What the demo counts, shows and concludes."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from stack.demo.panel import line, moment, panel
from stack.demo.pushed import Pushed
from stack.demo.tally import Tally, percentile
from stack.demo.verdict import Run, faults, rates, summary

FIRST = Pushed(4, 0, {"user": 1, "item": 3}, {"ctr_small": 1}, "at the start")
RULE = Pushed(5, 0, {"user": 1, "item": 3}, {"ctr_small": 1}, "a rule")
TABLE = Pushed(6, 0, {"user": 2, "item": 3}, {"ctr_small": 1}, "a table")
MODEL = Pushed(7, 0, {"user": 2, "item": 3}, {"ctr_small": 2}, "a model")
PUSHES = (RULE, TABLE, MODEL)

RUN = Run(
    produced=100, first=FIRST, pushes=PUSHES, start_s=0.0, start_ms=0, end_ms=50_000,
    parallelism=2,
)  # fmt: skip


def feed(tally: Tally, role: str, now_s: float, headers: dict[str, bytes], **value: Any) -> None:
    """Give a tally one record."""
    tally.take(role, json.dumps(value).encode(), headers, now_s)


def decide(
    tally: Tally, now_s: float, push: Pushed = FIRST, rule: str = "keen", **other: Any
) -> None:
    """Give a tally one decision of the flow offer, on the events v1 and c1."""
    told = {
        "reason": {}, "tables": push.tables, "models": push.models, "scores": {"ctr": 0.25},
    } | other  # fmt: skip
    feed(
        tally, "decisions", now_s + 7, {}, flow="offer", at=int(now_s * 1_000),
        revision=push.revision, user_id="u[1]",
        payload={"sku": "[x]"},
        trigger={"kind": "rule", "rule": rule, "event_ids": ["v1", "c1"]}, **told,
    )  # fmt: skip


def counts(tally: Tally, shard: int, **given: int) -> None:
    """Give a tally the counts of a shard."""
    feed(tally, "control", 0, {}, kind="counts", shard=shard, counts=given)


@pytest.fixture
def tally() -> Tally:
    """A run in which all went well."""
    tally = Tally(sent_s={"c1": 1.0}, waiting_rules=frozenset({"abandoned"}))
    counts(tally, 0, **{"in": 30, "applied": 30})
    counts(
        tally, 0, **{"in": 60, "applied": 57, "late": 1, "dead": 1, "doubled": 1, "decisions": 9}
    )
    counts(tally, 1, **{"in": 40, "applied": 40, "decisions": 36})
    feed(tally, "late", 0, {})
    feed(tally, "dead_letters", 0, {"error": b"tombstone"})
    for i in range(10):
        decide(tally, 6 + i)
    for i in range(20):
        decide(tally, 20 + i, RULE)
    for i in range(10):
        decide(tally, 40 + i / 2, TABLE, reason={"defaults": {"user": "NO_ROW"}})
    for i in range(5):
        decide(tally, 45 + i, MODEL, scores={"ctr": 0.75})
    for push in PUSHES:
        for subtask in (0, 1):
            feed(
                tally, "acks", 0, {}, revision=push.revision, status="READY", subtask=subtask, at=7
            )
        feed(tally, "acks", 0, {}, revision=push.revision, status="COMMITTED", at=1_234)
        for shard in (0, 1):
            feed(tally, "control", 30, {}, kind="revision", shard=shard, revision=push.revision)
    return tally


def test_the_last_counts_of_each_shard_are_added(tally: Tally) -> None:
    """Counts are totals since the start, not differences."""
    assert tally.total("in") == 100
    assert tally.accounted() == 100


def test_latency_is_that_of_the_event_that_completed_it() -> None:
    """From sending to reading; not where a deadline completed it."""
    tally = Tally(sent_s={"v1": 1.0, "c1": 2.0}, waiting_rules=frozenset({"abandoned"}))
    decide(tally, 2.5)
    decide(tally, 9.0, rule="abandoned")
    assert tally.latencies_ms() == [7_500.0]
    assert tally.latencies_ms(since_s=10.0) == []


def test_rates_before_and_after_the_push(tally: Tally) -> None:
    """Of the changed flow, in event time, not when they were read; until the next push."""
    assert rates(tally, RUN) == (pytest.approx(10 / 15), pytest.approx(1.0))


def test_a_run_that_went_well_has_no_faults(tally: Tally) -> None:
    """Counts agree, it was decided before and after, the revision is committed."""
    assert faults(tally, RUN) == []


def test_a_run_without_anything_has_all_faults() -> None:
    """Each is named."""
    found = "\n".join(faults(Tally(), RUN))
    assert "there was no decision" in found
    for push in PUSHES:
        assert f"revision {push.revision} ({push.what}) was not committed (acks: none)" in found
    assert "100 events were sent, 0 taken in" in found


def test_counts_that_do_not_agree_are_a_fault(tally: Tally) -> None:
    """An event that was taken in and ended nowhere; records that are not on their topics."""
    counts(tally, 1, **{"in": 41, "applied": 40, "late": 7, "decisions": 3})
    found = "\n".join(faults(tally, RUN))
    assert "100 events were sent, 101 taken in" in found
    assert "in 101 is not 97 applied + 8 late + 1 dead + 1 doubled" in found
    assert "8 late were counted, 1 lie on the topic" in found
    assert "12 decisions were counted, 45 lie on the topic" in found


def test_a_refused_push_is_a_fault_with_its_reasons(tally: Tally) -> None:
    """What the watcher said is what the user reads."""
    tally.acks = [ack for ack in tally.acks if ack["revision"] != 6]
    reason = {"where": "rules[0]", "problem": "unknown key", "cure": ""}
    feed(tally, "acks", 0, {}, revision=6, status="NACK", reasons=[reason])
    assert faults(tally, RUN) == ["revision 6 (a table) was not committed (rules[0]: unknown key)"]


def test_a_push_without_effect_is_a_fault(tally: Tally) -> None:
    """Committed, yet nothing was decided under it."""
    tally.decisions = [
        dataclasses.replace(seen, revision=4) if seen.revision == 5 else seen
        for seen in tally.decisions
    ]
    assert faults(tally, RUN) == ["the flow offer has decided nothing under revision 5 (a rule)"]


def test_latencies_of_pushes_end_with_the_commit(tally: Tally) -> None:
    """By the watcher's clock, which is that of the config server."""
    assert tally.answered_ms(6, "COMMITTED") == 1_234
    assert tally.answered_ms(8, "COMMITTED") is None


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({"tables": {"user": 1}}, "1 decisions of offer were made on user@1 ctr_small@1, and not"),
        ({"models": {}}, "1 decisions of offer were made on item@3 user@1, and not on ctr_small"),
        (
            {"tables": {"user": 2, "item": 3}},
            "made under revision 4 on item@3 user@2 ctr_small@1, and not on item@3 user@1",
        ),
        ({"models": {"ctr_small": 2}}, "made under revision 4 on item@3 user@1 ctr_small@2"),
        ({"scores": {"ctr": 1.5}}, "1 scores are no number from 0 to 1, e.g. 1.5"),
        ({"scores": {"ctr": None}}, "1 scores are no number from 0 to 1, e.g. None"),
        ({"scores": {}}, "1 scores are no number from 0 to 1, e.g. None"),
        (
            {"reason": {"defaults": {"user": "READ_FAILED"}}},
            "user was its default 1 times because of READ_FAILED",
        ),
    ],
    ids=["no-item", "no-model", "table", "model", "high", "null", "absent", "failed"],
)
def test_a_decision_on_something_else_is_a_fault(
    tally: Tally, other: dict[str, Any], fault: str
) -> None:
    """Other tables, releases or versions than the revision's, a score that is none."""
    tally.decisions.pop(0)
    decide(tally, 6, **other)
    (found,) = faults(tally, RUN)
    assert fault in found


def test_a_revision_that_nobody_pushed_is_a_fault(tally: Tally) -> None:
    """Somebody else publishes under the demo's app."""
    tally.decisions.pop(0)
    decide(tally, 6, dataclasses.replace(FIRST, revision=3))
    (found,) = faults(tally, RUN)
    assert "under revision 3, which nobody has pushed" in found


def test_who_decides_on_the_old_after_the_last_push_is_a_fault(tally: Tally) -> None:
    """What counts is when the event was sent, not when its decision was read."""
    tally.decisions[0] = dataclasses.replace(tally.decisions[0], at_s=31.0, sent_s=29.0)
    assert faults(tally, RUN) == []
    tally.decisions[0] = dataclasses.replace(tally.decisions[0], sent_s=31.0)
    assert faults(tally, RUN) == [
        "1 decisions on events sent after revision 7 applied were not made under it"
    ]


def test_a_shard_that_has_not_applied_the_last_push_is_a_fault(tally: Tally) -> None:
    """It was committed, so each of them has to."""
    tally.applied_s.pop(7)
    tally.shard_revisions[1] = 6
    assert faults(tally, RUN) == ["not all shards have applied revision 7: 6-7"]


def test_reads_that_failed_are_a_fault(tally: Tally) -> None:
    """Whatever the decisions say."""
    counts(tally, 1, **{"in": 40, "applied": 40, "decisions": 36, "failed_reads": 2})
    assert faults(tally, RUN) == ["2 reads of tables have failed"]


def test_the_summary_says_it_all(tally: Tally) -> None:
    """Counts, reasons, flows with an example, scores, latency, the pushes and their effect."""
    text = "\n".join(summary(tally, RUN))
    for part in (
        "100 events sent, 100 taken in", "97 applied", "1 late", "1 dead", "1 doubled",
        "tombstone 1", "45 decisions", 'u[1] {"sku": "[x]"} because of keen', "p50", "p99",
        "30 item@3 user@1 ctr_small@1: 0.25 0.25 0.25", "10 item@3 user@2 ctr_small@1: 0.25",
        "5 item@3 user@2 ctr_small@2: 0.75", "NO_ROW: user 10", "failed reads: 0",
        "revision 6, a table: 2 READY of 2, COMMITTED 1,234 ms after it was published",
        "in force: 7", "before the rule was changed: 0.7/s", "after it: 1.0/s",
    ):  # fmt: skip
        assert part in text


def test_one_line_for_where_there_is_no_terminal(tally: Tally) -> None:
    """All numbers of the panel, no control characters."""
    now = moment(
        tally, now_s=30.0, start_s=0.0, seconds=40, produced=100, produced_rate=2000, news="",
    )  # fmt: skip
    text = line(now)
    assert text.isprintable()
    for part in ("30 s", "2000 sent/s", "offer 45", "late 1", "doubled 1", "dead 1", "revision 7",
                 "item@3 user@2 ctr_small@2: 0.75 0.75 0.75"):  # fmt: skip
        assert part in text


def test_the_line_before_anything_has_happened() -> None:
    """No numbers are made up."""
    now = moment(
        Tally(), now_s=1.0, start_s=0.0, seconds=40, produced=0, produced_rate=0, news=""
    )  # fmt: skip
    assert "none yet" in line(now)
    assert "p50 - p99 -" in line(now)
    assert "no scores" in line(now)
    assert "revision -" in line(now)


def test_the_panel_shows_what_was_decided_letter_by_letter(tally: Tally) -> None:
    """Brackets in data are no markup."""
    now = moment(
        tally, now_s=39.0, start_s=0.0, seconds=40, produced=100, produced_rate=2000,
        news="pushed revision 5",
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(panel(now))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert 'u[1] {"sku": "[x]"} because of keen' in text
    assert "pushed revision 5" in text
    assert "NO_ROW 10   failed reads 0" in text


def test_shards_that_differ_show_as_a_range() -> None:
    """While a push is taken up by one shard after the other."""
    tally = Tally()
    feed(tally, "control", 0, {}, kind="revision", shard=0, revision=5)
    feed(tally, "control", 0, {}, kind="revision", shard=1, revision=4)
    assert tally.in_force() == "4-5"


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentiles(share: float, value: float) -> None:
    """Nearest rank."""
    assert percentile([float(i) for i in range(1, 101)], share) == value
    assert math.isnan(percentile([], share))
