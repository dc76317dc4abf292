"""TaskManagers that are killed while a table or a model is being loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import Stack
from tests.e2e.running import Running, await_until
from tests.e2e.scoring_job import Scoring, Sending
from tests.offline import make_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PER_SECOND = 1_000


def _push_table(scoring: Scoring) -> int:
    """A table that takes a moment: 200,000 rows in 32 files."""
    many = [*scoring.users, *(f"other{n}" for n in range(200_000))]
    return scoring.push_pointer(scoring.release(2, many))


def _push_model(scoring: Scoring) -> int:
    """A model with many golden rows, which takes a moment, too."""
    source = make_model(scoring.folder / "model-2", 2, rows=10_000)
    return scoring.push_pointer(scoring.point_to_model(scoring.version(source)))


@pytest.mark.parametrize(
    ("part", "push"),
    [
        pytest.param("tables", _push_table, id="table"),
        pytest.param("models", _push_model, id="model", marks=pytest.mark.slow),
    ],
)
def test_chaos_killed_while_loading(
    stack: Stack, tmp_path: Path, part: str, push: Callable[[Scoring], int]
) -> None:
    """Recovers to one release, commits the other when it is there; exactly once, nothing left."""
    with Running(
        stack, f"kill-{part}", delivery="exactly-once", checkpoint_interval="1s",
        idle_advance="off",
    ) as job:  # fmt: skip
        scoring = Scoring(job, tmp_path, [f"u{n}" for n in range(2_000)])
        scoring.begin()
        first = max(scoring.revisions)
        sending = Sending(scoring, PER_SECOND, 0)
        await_until(job.decisions, "the first decisions")
        second = push(scoring)
        beside = _await_new(scoring.shelf() / part)
        index, before = job.taskmanager(), job.restarts()
        stack.kill_taskmanager(index)
        half = beside.exists()
        await_until(lambda: job.restarts() > before, "a restart")
        stack.start_taskmanager(index)
        scoring.committed(second, timeout_s=180)
        time.sleep(3)
        sent = sending.end()
        counts = job.await_in(sent, timeout_s=300)
        wanted = counts["decisions"]
        decisions = await_until(
            lambda: found if len(found := job.decisions()) >= wanted else None, "decisions"
        )
        assert {each["revision"] for each in decisions} == {first, second}
        scoring.check(decisions)
        await_until(
            lambda: scoring.on_disk() == scoring.wanted_on_disk(first, second),
            f"{scoring.on_disk()} to be what revisions {first} and {second} need", 30,
        )  # fmt: skip
        print(f"{sent} events, {len(decisions)} decisions; half-loaded at the kill: {half}")  # noqa: T201


def _await_new(folder: Path) -> Path:
    """Wait for a folder that is being made, as closely as one can look."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        for path in folder.glob("*.new"):
            return path
    raise AssertionError(f"nothing was loaded in {folder}")
