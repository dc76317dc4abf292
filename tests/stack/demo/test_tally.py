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
from stack.demo.tally import Tally, percentile
from stack.demo.verdict import Run, faults, rates, summary

RUN = Run(
    produced=100, revisions=(4, 5), flow="offer", start_s=0.0, start_ms=0, end_ms=40_000,
    parallelism=2,
)  # fmt: skip


def feed(tally: Tally, role: str, now_s: float, headers: dict[str, bytes], **value: Any) -> None:
    """Give a tally one record."""
    tally.take(role, json.dumps(value).encode(), headers, now_s)


def decide(
    tally: Tally, now_s: float, revision: int = 4, flow: str = "offer", rule: str = "keen"
) -> None:
    """Give a tally one decision, on the events v1 and c1."""
    feed(
        tally, "decisions", now_s + 7, {}, flow=flow, at=int(now_s * 1_000), revision=revision,
        user_id="u[1]",
        payload={"sku": "[x]"},
        trigger={"kind": "rule", "rule": rule, "event_ids": ["v1", "c1"]},
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
    counts(tally, 1, **{"in": 40, "applied": 40, "decisions": 21})
    feed(tally, "late", 0, {})
    feed(tally, "dead_letters", 0, {"error": b"tombstone"})
    for i in range(10):
        decide(tally, 6 + i)
    for i in range(20):
        decide(tally, 20 + i, revision=5)
    for subtask in (0, 1):
        feed(tally, "acks", 0, {}, revision=5, status="READY", subtask=subtask)
    feed(tally, "acks", 0, {}, revision=5, status="COMMITTED")
    for shard in (0, 1):
        feed(tally, "control", 0, {}, kind="revision", shard=shard, revision=5)
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
    """Of the changed flow, each under its own revision, in event time, not when they were read."""
    assert rates(tally, RUN) == (pytest.approx(10 / 15), pytest.approx(1.0))


def test_a_run_that_went_well_has_no_faults(tally: Tally) -> None:
    """Counts agree, it was decided before and after, the revision is committed."""
    assert faults(tally, RUN) == []


def test_a_run_without_anything_has_all_faults() -> None:
    """Each is named."""
    found = "\n".join(faults(Tally(), RUN))
    assert "there was no decision" in found
    assert "revision 5 was not committed (acks: none)" in found
    assert "100 events were sent, 0 taken in" in found


def test_counts_that_do_not_agree_are_a_fault(tally: Tally) -> None:
    """An event that was taken in and ended nowhere; records that are not on their topics."""
    counts(tally, 1, **{"in": 41, "applied": 40, "late": 7, "decisions": 3})
    found = "\n".join(faults(tally, RUN))
    assert "100 events were sent, 101 taken in" in found
    assert "in 101 is not 97 applied + 8 late + 1 dead + 1 doubled" in found
    assert "8 late were counted, 1 lie on the topic" in found
    assert "12 decisions were counted, 30 lie on the topic" in found


def test_a_refused_push_is_a_fault_with_its_reasons(tally: Tally) -> None:
    """What the watcher said is what the user reads."""
    tally.acks.clear()
    reason = {"where": "rules[0]", "problem": "unknown key", "cure": ""}
    feed(tally, "acks", 0, {}, revision=5, status="NACK", reasons=[reason])
    assert faults(tally, RUN) == ["revision 5 was not committed (rules[0]: unknown key)"]


def test_a_push_without_effect_is_a_fault(tally: Tally) -> None:
    """Committed, yet nothing was decided under it."""
    tally.decisions = [dataclasses.replace(seen, revision=4) for seen in tally.decisions]
    assert faults(tally, RUN) == ["there was no decision under revision 5"]


def test_the_summary_says_it_all(tally: Tally) -> None:
    """Counts, reasons, flows with an example, latency, the push and its effect."""
    text = "\n".join(summary(tally, RUN))
    for part in (
        "100 events sent, 100 taken in", "97 applied", "1 late", "1 dead", "1 doubled",
        "tombstone 1", "30 decisions", 'u[1] {"sku": "[x]"} because of keen', "p50", "p99",
        "2 READY of 2, COMMITTED", "in force: 5", "before the push (revision 4): 0.7/s",
        "after it (revision 5): 1.0/s",
    ):  # fmt: skip
        assert part in text


def test_one_line_for_where_there_is_no_terminal(tally: Tally) -> None:
    """All numbers of the panel, no control characters."""
    now = moment(
        tally, now_s=30.0, start_s=0.0, seconds=40, produced=100, produced_rate=2000, news="",
    )  # fmt: skip
    text = line(now)
    assert text.isprintable()
    for part in ("30 s", "2000 sent/s", "offer 30", "late 1", "doubled 1", "dead 1", "revision 5"):
        assert part in text


def test_the_line_before_anything_has_happened() -> None:
    """No numbers are made up."""
    now = moment(
        Tally(), now_s=1.0, start_s=0.0, seconds=40, produced=0, produced_rate=0, news=""
    )  # fmt: skip
    assert "none yet" in line(now)
    assert "p50 - p99 -" in line(now)
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
