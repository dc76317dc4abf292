"""The benchmark of pushes: the sets that are pushed, and what the worker's notes come to."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import report_swaps
from benchmarks.in_worker.marks import KINDS, Marks, Sampler, kind_of, place
from benchmarks.rule_log import parts, rule_set
from benchmarks.swap_rules import Pushes
from benchmarks.swap_times import Gap, Part, Spread, Window, longest, part, read_calls, read_gaps
from benchmarks.swaps import Plan, Push, Swaps
from udfs.decisions.program import Program

MS = 1_000_000
BATCH, PREPARE = KINDS.index("batch"), KINDS.index("prepare")


def window(name: str, began_ms: int, ended_ms: int) -> Window:
    """Give a window; the wall clock is a million ms ahead of the other one."""
    return Window(
        name, began_ms * MS, ended_ms * MS, 1_000_000 + began_ms, 1_000_000 + ended_ms
    )  # fmt: skip


def test_a_push_changes_so_many_rules_and_replaces_some() -> None:
    """The marker rule stays, the number of rules too, and nothing comes back."""
    sets = Pushes(100, changed=20, replaced=5)
    before = sets.manifest()
    assert before == rule_set(100).manifest()
    seen = {json.dumps(rule["pattern"]) for rule in before}
    for _ in range(3):
        sets.change()
        after = sets.manifest()
        old = {rule["rule"]: rule for rule in before}
        new = {rule["rule"]: rule for rule in after}
        assert len(new) == 100
        assert len(new.keys() - old.keys()) == 5
        changed = [rule for name, rule in new.items() if name in old and old[name] != rule]
        assert len(changed) == 15
        assert all(rule["version"] == old[rule["rule"]]["version"] + 1 for rule in changed)
        assert new["rule_0000"] == old["rule_0000"]
        fresh = {json.dumps(rule["pattern"]) for rule in after} - {
            json.dumps(rule["pattern"]) for rule in before
        }
        assert len(fresh) == 20
        assert not fresh & seen
        seen |= fresh
        before = after
    Program.compile(2, parts(before), {"decisions"})


def test_the_same_pushes_every_time() -> None:
    """Two runs push the same sets."""
    first, again = Pushes(20), Pushes(20)
    first.change()
    again.change()
    assert first.manifest() == again.manifest()


def test_percentiles_are_values_that_were_seen() -> None:
    """The smallest value that so large a part does not exceed."""
    assert Spread.of(float(ms) for ms in range(1_000, 0, -1)) == Spread(
        1_000, 501.0, 991.0, 1_000.0, 1_000.0
    )
    assert Spread.of([]) == Spread()


def test_calls_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Also those that were left to the end, and without half a call."""
    path = tmp_path / "calls"
    marks = Marks(path)
    for number in range(2_500):
        marks.add(BATCH, number, number + 1, 7)
    marks.flush()
    with path.open("ab") as out:
        out.write(b"12345678")
    calls = read_calls(path)
    assert calls.shape == (2_500, 4)
    assert calls[-1].tolist() == [BATCH, 2_499, 2_500, 7]


def test_a_part_sums_up_what_began_in_it() -> None:
    """Batches, all calls, the share of time, latencies and gaps of one window."""
    calls = np.array(
        [
            [BATCH, 0, 5 * MS, 100],
            [BATCH, 10 * MS, 12 * MS, 10],
            [PREPARE, 20 * MS, 170 * MS, 9_999],
            [BATCH, 170 * MS, 174 * MS, 20],
            [BATCH, 210 * MS, 211 * MS, 100],
        ]
    )
    gaps = [
        Gap(20 * MS, 50 * MS, 30.0, 0.0, "a", []),
        Gap(60 * MS, 160 * MS, 1.0, 9.0, "in Java", []),
        Gap(220 * MS, 260 * MS, 30.0, 0.0, "b", []),
    ]
    found = part(window("w", 10, 210), calls, [(1_000_015, 40), (1_000_300, 9)], gaps)
    assert found.events == 30
    assert found.batches == Spread(2, 4.0, 4.0, 4.0, 4.0)
    assert (found.calls.count, found.calls.most) == (3, 150.0)
    assert found.by_kind == {"prepare": Spread(1, 150.0, 150.0, 150.0, 150.0)}
    assert (found.long, found.long_ms) == (1, 150.0)
    assert found.busy == pytest.approx(156 / 200)
    assert found.latency == Spread(1, 40.0, 40.0, 40.0, 40.0)
    assert found.gaps is not None
    assert [gap.ms for gap in found.gaps] == [100.0, 30.0]
    assert [gap.held for gap in found.gaps] == [False, True]
    assert part(window("w", 10, 210), calls, [], None).gaps is None
    assert longest(calls, "prepare", 0, 30 * MS) == 150.0
    assert longest(calls, "prepare", 30 * MS, 90 * MS) is None


@pytest.mark.parametrize(
    ("topic", "line", "kind"),
    [
        ("", '{"type":"prepare","revision":2}', "prepare"),
        ("", '{"type":"commit","revision":2}', "commit"),
        ("", '{"type":"poll"}', "poll"),
        ("", '{"type":"kill","all":false}', "kill"),
        ("acks", "{}", "record"),
    ],
    ids=lambda value: value if value in KINDS else "",
)
def test_messages_are_told_apart_by_their_beginning(topic: str, line: str, kind: str) -> None:
    """A prepare is long; it is not decoded for this."""
    assert KINDS[kind_of(topic, line)] == kind


def test_a_call_that_keeps_the_gil_is_seen(tmp_path: Path) -> None:
    """One long call of C, and the thread that made it was busy."""
    sampler = Sampler(tmp_path / "gaps", threading.get_ident())
    time.sleep(0.05)
    numbers = range(5_000_000)
    began = time.thread_time()
    while time.thread_time() - began < 0.2:
        sum(numbers)
    sampler.close()
    gaps = read_gaps(tmp_path / "gaps")
    assert any(gap.held for gap in gaps)
    assert max(gap.ms for gap in gaps) > 20


@pytest.mark.parametrize(
    ("busy_ms", "queued_ms", "held_ms"), [(45.0, 0.0, 45.0), (15.0, 0.0, 15.0), (45.0, 30.0, 20.0)]
)
def test_who_waits_for_a_processor_does_not_wait_for_the_gil(
    busy_ms: float, queued_ms: float, held_ms: float
) -> None:
    """Nor does who waits while the working thread does not run."""
    gap = Gap(0, 50 * MS, busy_ms, queued_ms, "f", [])
    assert gap.held_ms == held_ms
    assert gap.held is (held_ms > 20)


def test_places_are_short() -> None:
    """File and function; a thread without a frame is in Java."""
    assert place(None) == "in Java"


def test_swaps_are_told(tmp_path: Path) -> None:
    """Ratios with their bar, pushes that did not end, and the longest gaps."""
    calm = Part("left alone", 60.0, 6_000, Spread(9, 1, 2, 3, 4), Spread(9, 1, 2, 3, 4), {}, 0, 0.0,
                0.1, Spread(9, 50, 60, 70, 80), [])  # fmt: skip
    gap = Gap(0, 45 * MS, 45.0, 0.0, "udfs/x.py:1 f", [])
    rough = Part("with pushes", 60.0, 9, Spread(9, 1, 2, 5, 8), Spread(9, 1, 2, 9, 900), {}, 1,
                 900.0, 0.2, Spread(9, 50, 60, 130, 900), [gap])  # fmt: skip
    pushes = [Push(2, 500, 700, 350.0, "COMMITTED"), Push(3, None, None, None, "nothing told")]
    found = Swaps(Plan(100.0, 10, 5, 60.0, 2, gil=True), 99.0, 1.0, 0.3, calm, rough, pushes)
    lines = report_swaps.verdicts(found)
    assert [line.split("wanted at most 2: ")[1].split(";")[0] for line in lines] == [
        "kept", "NOT kept", "kept",
    ]  # fmt: skip
    calm.events = 5_000
    assert "did not keep up" in report_swaps.verdicts(found)[0]
    console = Console(file=(tmp_path / "out.txt").open("w"), record=True, width=140)
    report_swaps.print_swaps(console, found)
    text = console.export_text()
    assert "1 of 2 committed" in text
    assert "1 times, at most 45 ms: the working thread, then in udfs/x.py:1 f" in text
