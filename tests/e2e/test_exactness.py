"""The job against the cores in plain Python, and against a program that knows neither.

Half of the log is there before the job starts, the rest comes while it runs.
"""

from __future__ import annotations

import pytest

from stack import Stack
from tests.e2e import independent, shop
from tests.e2e.compare import as_independent, same
from tests.e2e.plain import run_plain
from tests.e2e.running import Running
from tests.e2e.traffic import make_traffic
from udfs.decisions.shard_settings import ShardSettings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SHORT, FULL = 20_000, 200_000
LONG = (pytest.mark.slow, pytest.mark.timeout(1800))


def _case(events: int, parallelism: int, backend: str, mode: str, *marks: object) -> object:
    return pytest.param(
        events, parallelism, backend, mode, marks=marks,
        id=f"{events // 1000}k-{parallelism}-{backend}-{mode}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("events", "parallelism", "backend", "mode"),
    [
        _case(SHORT, 2, "rocksdb", "thread"),
        _case(SHORT, 2, "heap", "process", *LONG),
        _case(FULL, 1, "heap", "thread", *LONG),
        _case(FULL, 1, "rocksdb", "thread", *LONG),
        _case(FULL, 2, "heap", "thread", *LONG),
        _case(FULL, 2, "rocksdb", "thread", *LONG),
    ],
)
def test_job_equals_cores_and_independent_program(
    stack: Stack, events: int, parallelism: int, backend: str, mode: str
) -> None:
    """Every decision, late copy and dead letter, whole; nothing lost, nothing twice."""
    traffic = make_traffic(11, events)
    log = traffic.log
    name = f"exact-{events}-{parallelism}-{backend}-{mode}"
    with Running(
        stack, name, parallelism=parallelism, state_backend=backend, execution_mode=mode,
        idle_advance="off", max_event_bytes=shop.MAX_EVENT_BYTES, delivery="exactly-once",
    ) as job:  # fmt: skip
        job.publish(shop.manifest())
        half = len(log) // 2
        job.produce(log[:half])
        job.start()
        job.produce(log[half:], per_second=10_000)
        counts = job.await_in(len(log), timeout_s=600)
        records = job.read("decisions", "late", "dead_letters")
    settings = job.settings
    names = (settings.decisions_topic, settings.late_topic, settings.dead_letters_topic)
    got = as_independent(records, *names)

    core = ShardSettings(idle_advance_ms=None, max_event_bytes=shop.MAX_EVENT_BYTES)
    plain, plain_counts = run_plain(log, shop.PARTS, shop.REVISION, core)
    same(got, as_independent(plain))
    decisions, late, dead, doubled = independent.run(log, shop.REVISION)
    same(got, (decisions, late, dead))
    _whole_headers(records, plain, names)

    for uncertain in ("expression_errors", "regressions"):  # told later; of no record
        plain_counts.pop(uncertain)
        counts.pop(uncertain)
    assert counts == plain_counts
    assert counts["in"] == len(log)
    assert counts["in"] == counts["applied"] + counts["late"] + counts["dead"] + counts["doubled"]
    assert counts["doubled"] == doubled > 0
    scale = FULL // events
    assert len(decisions) >= 5_000 // scale
    assert len(late) >= 1_000 // scale
    assert len(dead) >= 500 // scale


def _whole_headers(records: list, plain: list, names: tuple[str, str, str]) -> None:  # type: ignore[type-arg]
    """All headers of late copies and dead letters; but how far ahead of the clock one was."""

    def gather(found: list, late: str, dead: str) -> list[object]:  # type: ignore[type-arg]
        headers = []
        for record in found:
            if record.topic in (late, dead):
                kept = dict(record.headers)
                if kept.get("error") == b"future":
                    del kept["detail"]
                headers.append(sorted(kept.items()))
        return sorted(headers)

    assert gather(records, names[1], names[2]) == gather(plain, "late", "dead_letters")
