"""The benchmark of rules in the job: its log and rules, rates of a log that is not worked off."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report_jobs
from benchmarks.__main__ import _options
from benchmarks.progress import Curve, Point
from benchmarks.rule_jobs import Agreement, Result, Run, agree, cpu_between, rate_of, timed_part
from benchmarks.rule_log import MARKER, Traffic, parts, rule_set
from benchmarks.rule_workload import TYPES
from benchmarks.workload import partition_of
from udfs.decisions.program import Program
from udfs.events.codec import decode
from udfs.matching import match

FIRST_MS = 1_700_000_000_000


def decision(rule: str, *ids: str) -> bytes:
    """Give a decision that these events have triggered."""
    return json.dumps({"trigger": {"rule": rule, "event_ids": ids}}).encode()


def run(job: str, rules: int, rate: float, *, whole: bool = True) -> Run:
    """Give a run of a rate."""
    return Run(job, rules, rate, 1_000, whole, 10, 0.5, {"source": 1.0})


def test_a_smaller_set_is_the_beginning_of_a_larger_one() -> None:
    """What changes with the number of rules is their number."""
    large = rule_set(20).manifest()
    assert rule_set(7).manifest() == large[:7]
    assert rule_set(1).steps == [MARKER]
    assert len({json.dumps(rule["pattern"]) for rule in large}) == 20


def test_every_rule_has_a_flow(tmp_path: Path) -> None:
    """The manifest compiles, and Java's file has the same steps."""
    rules = rule_set(5)
    program = Program.compile(1, parts(rules.manifest()), {"decisions"})
    assert [flow.rule for flow in program.flows] == [f"rule_{number:04d}" for number in range(5)]
    rules.write(tmp_path / "rules.txt")
    lines = (tmp_path / "rules.txt").read_text().splitlines()
    assert lines[0] == "0 0 < 500000 1 1 < 870000 2 2 < 320000"
    assert [len(line.split()) for line in lines] == [12] * 5


def test_events_name_their_place_in_the_log() -> None:
    """Ids are partition and sequence; frequent types are as frequent as they should be."""
    sequences = dict.fromkeys(range(4), 0)
    types: Counter[str] = Counter()
    for record in islice(Traffic(users=50).log(6_000, FIRST_MS), 6_000):
        event = decode(record.value)
        assert record.partition == partition_of(event.user_id)
        assert event.event_id == f"{record.partition}-{sequences[record.partition]}"
        sequences[record.partition] += 1
        types[event.event_type] += 1
        assert 180 < len(record.value) < 260
    assert set(types) == set(TYPES)
    shares = [types[name] / 6_000 for name in TYPES]
    assert shares[:3] == pytest.approx([0.20, 0.15, 0.05], abs=0.02)
    assert max(shares[3:]) < 0.05


def test_the_marker_rule_completes_with_about_one_percent() -> None:
    """What the benchmark promises, with a hundred events a user."""
    records = Traffic(users=200).log(20_000, FIRST_MS)
    events = [json.loads(record.value) for record in records]
    matches = match(rule_set(10).manifest(), events)
    assert 0.007 < sum(each["rule"] == "rule_0000" for each in matches) / len(events) < 0.02
    assert len(matches) / len(events) < 0.025


def test_a_log_that_is_not_worked_off_is_timed_over_the_second_half_of_the_time() -> None:
    """500 events/s for 10 s, then 1,000; what comes in bursts is not what is timed."""
    curve = Curve([100_000])
    for tenth in range(200):
        burst_ms = 50_000 + tenth // 20 * 2_000 if tenth % 3 else 50_000 + tenth * 100
        done = tenth * 50 + max(0, tenth - 100) * 50
        curve.add(burst_ms + tenth % 20 * 100, decision("rule_0000", f"0-{done}"))
    began, ended = timed_part(curve, 20.0)
    assert (began.at_ms, ended.at_ms) == (60_000, 70_000)
    assert rate_of(began, ended) == pytest.approx(1_000, rel=0.05)


def test_a_job_that_stands_still_has_a_rate() -> None:
    """Nobody divides by nothing."""
    curve = Curve([100_000])
    curve.add(50_000, decision("rule_0000", "0-10"))
    assert rate_of(*timed_part(curve, 90.0)) == pytest.approx(1 / 45)


def test_the_end_of_a_short_log_need_not_be_reached() -> None:
    """A job in event time holds back more than a twentieth of it."""
    curve = Curve([20_000])
    for sequence in range(0, 18_000, 100):
        curve.add(50_000 + sequence // 2, decision("rule_0000", f"0-{sequence}"))
    assert curve.ended
    assert rate_of(*timed_part(curve, math.inf)) == pytest.approx(2_000, rel=0.02)


def test_matches_are_compared_where_both_have_been() -> None:
    """By rule and events, up to some thousand events before where the slower one is."""
    ours, theirs = Curve([100_000]), Curve([100_000])
    for curve, last in ((ours, 90_000), (theirs, 10_000)):
        curve.add(1, decision("rule_0000", "0-1", "0-2", "0-3"))
        curve.add(1, decision("rule_0001", "0-1", "0-2", "0-3"))
        curve.add(1, decision("rule_0000", "0-1", "0-2", f"0-{last}"))
    assert agree(10, ours, theirs) == Agreement(10, 7_501, 2, 1, 0)
    theirs.add(1, decision("rule_0002", "0-1", "0-2", "0-3"))
    theirs.add(1, decision("rule_0002", "0-1", "0-2", "0-8000"))
    assert agree(10, ours, theirs).unshared == 1


def test_cpu_is_taken_from_the_nearest_samples() -> None:
    """Per event between two moments; nothing without two samples."""
    samples = [(number * 1_000, {"decide/1": number * 0.02}) for number in range(11)]
    began, ended = Point(4_900, 100), Point(9_400, 4_600)
    assert cpu_between(samples, began, ended) == {"decide (Python)": pytest.approx(20.0)}
    assert cpu_between(samples[:1], began, ended) == {}


@pytest.fixture
def result() -> Result:
    """Two rounds of three sizes, the largest without Flink."""
    runs = []
    for factor in (1.0, 1.2):
        runs += [
            run("millrace", 1, 1_000 * factor), run("Flink CEP", 1, 1_000),
            run("millrace", 100, 900 * factor), run("Flink CEP", 100, 10, whole=False),
            run("millrace", 1_000, 500 * factor),
        ]  # fmt: skip
    agreements = [Agreement(1, 800, 8, 0, 0), Agreement(100, 800, 8, 1, 2)]
    return Result(1_000, 50, 90.0, runs, agreements)


def test_ratios_are_those_of_the_rounds(result: Result) -> None:
    """Ours to Flink's, and ours to our own with one rule."""
    assert result.ratios(1) == pytest.approx([1.0, 1.2])
    assert result.ratios(1_000) == []
    assert result.kept(1_000) == pytest.approx([0.5, 0.5])


def test_bars_and_what_was_left_out_are_told(result: Result, tmp_path: Path) -> None:
    """Every bar says whether it is kept; a size without Flink says why."""
    lines = report_jobs.verdicts(result)
    told = "\n".join(lines)
    assert "1 rules: 1.10 times Flink CEP" in lines[0]
    assert lines[0].endswith("wanted 1.2: NOT kept")
    assert "wanted 30: kept" in told
    assert "1,000 rules: without Flink CEP, which would need 1,000 operators" in told
    assert "1,000 rules: 0.50 of our own rate" in told
    assert "wanted 0.6: NOT kept" in told
    assert "events: equal" in told
    assert "events: 2 NOT shared" in told
    console = Console(file=(tmp_path / "out.txt").open("w"), record=True, width=120)
    report_jobs.print_rules(console, result)
    assert "time was up" in console.export_text()


@pytest.mark.parametrize(
    "given",
    [["rules", "--limit", "0"], ["swaps", "--pushes", "0"], ["swaps", "--rules", "1"]],
    ids=lambda given: given[1],
)
def test_options_without_sense_are_refused(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the option."""
    with pytest.raises(SystemExit):
        _options(given)
    assert given[1] in capsys.readouterr().err
