"""What the benchmarks of rules measure, with tiny numbers; no test looks at a time."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import matching, report_rules, rule_load, rule_state
from benchmarks.__main__ import _options
from benchmarks.rule_workload import FIELDS, OPERATORS, TYPES, VALUES, Rules, Traffic
from benchmarks.sampling import counted, sampled
from udfs.matching import Machine, Runs

needs_java = pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")

SMALL = matching.Plan(rounds=2, users=5, warm_up_s=200.0, events=600, profile_s=0.1)
ALONE = matching.Plan(rounds=1, users=5, warm_up_s=100.0, events=400, flink=False, profile_s=0.0)


def printed(console: Console) -> str:
    """Give what was printed."""
    return console.export_text()


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """One that keeps what it prints."""
    return Console(file=(tmp_path / "out.txt").open("w"), record=True, width=80)


@pytest.mark.parametrize("share", matching.SERIES)
def test_steps_hold_for_the_wanted_share_of_their_type(share: float) -> None:
    """The comparisons of many rules over many numbers, by brute force."""
    rules = Rules(200, share)
    values = np.random.default_rng(1).integers(0, VALUES, 200_000)
    holds = {
        "<": lambda number: values < number,
        "<=": lambda number: values <= number,
        ">": lambda number: values > number,
        ">=": lambda number: values >= number,
    }
    shares = [
        float(holds[one.operator](one.number).mean()) for steps in rules.steps for one in steps
    ]
    assert sum(shares) / len(shares) == pytest.approx(share, rel=0.05)
    assert {one.operator for steps in rules.steps for one in steps} == set(OPERATORS)


def test_the_same_seed_gives_the_same_rules_and_events() -> None:
    """Both sides, and every run, have the same ones."""
    assert Rules(20, 0.1).manifest() == Rules(20, 0.1).manifest()
    first, again = (Traffic(10, 100.0) for _ in range(2))
    assert first.events(first.make(50)) == again.events(again.make(50))


def test_events_are_drawn_evenly_or_by_zipf() -> None:
    """Types always evenly; users evenly, or the first the busiest."""
    traffic = Traffic(50, 20.0)
    events = traffic.events(traffic.make(20_000))
    assert set(Counter(event.event_type for event in events)) == set(TYPES)
    assert len({event.user_id for event in events}) == 50
    assert set(events[0].props) == set(FIELDS)
    assert events[-1].event_time - events[0].event_time == 19_999 * 20
    made = Traffic(50, 20.0, zipf=1.0).make(20_000)
    counts = np.bincount(made["user"], minlength=50)
    assert counts[0] / counts[9] == pytest.approx(10.0, rel=0.25)


@needs_java
@pytest.mark.parametrize("share", matching.SERIES)
def test_both_sides_find_the_same(share: float, tmp_path: Path, console: Console) -> None:
    """`measure` refuses to give figures of sides that disagree."""
    outcome = matching.measure(share, 20, SMALL, tmp_path, print)
    assert len(outcome.ours) == len(outcome.armed) == len(outcome.theirs) == 2
    assert outcome.live > 0 or share != matching.COMMON  # rare ones may all have ended
    assert (outcome.matches > 0) == (share == matching.COMMON)
    report_rules.print_matching(console, [outcome], SMALL)
    assert "agree" in printed(console)


@needs_java
def test_sides_that_disagree_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match that is lost fails the benchmark."""
    advance = Machine.advance
    lost: list[object] = []

    def forgetful(machine: Machine, runs: Runs, *arguments: object) -> list[object]:
        found = advance(machine, runs, *arguments)  # type: ignore[arg-type]
        if found and not lost:
            lost.append(found.pop())
        return list(found)

    monkeypatch.setattr(Machine, "advance", forgetful)
    with pytest.raises(matching.DisagreementError, match="of Flink's NFA"):
        matching.measure(matching.COMMON, 20, SMALL, tmp_path)


def test_the_engine_alone(tmp_path: Path, console: Console) -> None:
    """Without Java there is no ratio."""
    outcome = matching.measure(matching.COMMON, 5, ALONE, tmp_path)
    assert outcome.ratio is None
    assert outcome.parts == []
    report_rules.print_matching(console, [outcome], ALONE)
    assert "agree" not in printed(console)


def test_functions_are_seen_and_counted() -> None:
    """A busy function is found under its name; calls are counted exactly."""

    def busy() -> int:
        return sum(number % 7 for number in range(200))

    def work() -> None:
        for _ in range(20_000):
            busy()

    with sampled() as seen:
        work()
    assert any("busy" in name for name in seen)
    calls = counted(lambda: [busy() for _ in range(3)] and None)
    assert sum(n for name, n in calls.items() if name.endswith(".busy")) == 3


def test_state_is_measured(console: Console) -> None:
    """Sizes and times of stored runs; runs that were stored match like others."""
    state = rule_state.measure(users=20, events_a_user=50, rules=10, sample=200)
    assert 0 < state.size_bytes.mean <= state.size_bytes.p99
    assert 0 < state.with_runs <= 20
    report_rules.print_states(console, [state])
    assert "decode and encode" in printed(console)


def test_loading_is_measured(console: Console) -> None:
    """As new, with the expressions compiled, and with one rule changed."""
    measured = rule_load.measure(20, 1)
    assert [load.name for load in measured[0].loads] == [
        "never seen", "expressions compiled", "one rule changed",
    ]  # fmt: skip
    assert measured[0].cache_bytes > 0
    report_rules.print_loads(console, [measured])
    assert "20 rules" in printed(console)


@pytest.mark.parametrize(
    "given",
    [["--rules", "0"], ["--share", "0.7"], ["--per-user-seconds", "0"], ["--users", "-1"]],
    ids=lambda given: given[0],
)
def test_options_without_sense_are_refused(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the option."""
    with pytest.raises(SystemExit):
        _options(["matching", *given])
    assert given[0] in capsys.readouterr().err
