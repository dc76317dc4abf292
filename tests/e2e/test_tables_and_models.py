"""Tables and models that change while events flow: each decision on one release and version."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from stack import Stack
from tests.e2e.running import Running, await_until
from tests.e2e.scoring_job import Scoring, Sending
from tests.offline import make_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("events", "per_second", "switches", "parallelism", "given"),
    [
        pytest.param(10_000, 1_000, 1, 2, {}, id="short"),
        pytest.param(100_000, 2_500, 2, 2, {}, id="long", marks=pytest.mark.slow),
        pytest.param(100_000, 2_500, 2, 1, {}, id="long-1", marks=pytest.mark.slow),
        pytest.param(10_000, 500, 1, 1, {"execution_mode": "process"}, id="process",
                     marks=pytest.mark.slow),
        pytest.param(10_000, 500, 1, 1, {"model_engine": "savedmodel"}, id="savedmodel",
                     marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_switches_in_mid_stream(
    stack: Stack,
    tmp_path: Path,
    events: int,
    per_second: int,
    switches: int,
    parallelism: int,
    given: dict[str, str],
) -> None:
    """Features are those of the release's Parquet, scores those of the version's SavedModel."""
    users = [f"u{n}" for n in range(3_000)]
    with Running(
        stack, "tables", delivery="exactly-once", checkpoint_interval="2s", idle_advance="off",
        parallelism=parallelism, **given,
    ) as job:  # fmt: skip
        scoring = Scoring(job, tmp_path, users)
        models = [make_model(tmp_path / f"model-{2 + n}", 2 + n) for n in range(switches)]
        scoring.begin()
        sending = Sending(scoring, per_second, events)
        for number, model in enumerate(models):
            time.sleep(2)
            scoring.committed(scoring.publish_users(2 + number))
            time.sleep(2)
            scoring.committed(scoring.publish_model(2 + number, model))
        time.sleep(3)
        sent = sending.end()
        counts = job.await_in(sent, timeout_s=300)
        assert counts["failed_reads"] == counts["late"] == counts["dead"] == 0
        wanted = counts["decisions"]
        decisions = await_until(
            lambda: found if len(found := job.decisions()) >= wanted else None, "decisions"
        )
        versions = Counter((d["tables"]["user"], d["models"]["ctr"]) for d in decisions)
        print(f"{sent} events, {len(decisions)} decisions by release and version: {versions}")  # noqa: T201
        assert len(versions) == 1 + 2 * switches
        scoring.check(decisions)
