"""TaskManagers that are killed in mid-stream, savepoints, another parallelism: nothing lost.

The log comes at 10,000 events/s while the job works with transactions; the result is compared
with the cores in plain Python, which nobody has disturbed.
"""

from __future__ import annotations

import random
import threading
import time

import pytest

from stack import Stack
from tests.e2e import shop, wire
from tests.e2e.compare import as_independent, same
from tests.e2e.plain import run_plain
from tests.e2e.running import PARTITIONS, Running, await_until
from tests.e2e.traffic import Traffic, make_traffic
from udfs.decisions.shard_settings import ShardSettings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

PER_SECOND = 11_000
AT_LEAST_PER_SECOND = 10_000
ORDERINGS = {"arrival": False, "event_time": True}


class _Producing:
    """Sends a log at its pace from a thread of its own, the last tenth only when told."""

    def __init__(self, job: Running, traffic: Traffic) -> None:
        self._job = job
        self._traffic = traffic
        self._per_second = 0.0
        self._failed: BaseException | None = None
        self._go_on = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        log = self._traffic.log
        held_back = len(log) // 10
        started_s = time.monotonic()
        try:
            self._job.produce(log[:-held_back], per_second=PER_SECOND)
            self._per_second = (len(log) - held_back) / (time.monotonic() - started_s)
            self._go_on.wait()
            self._job.produce(log[-held_back:], per_second=PER_SECOND)
        except BaseException as error:  # noqa: BLE001 - raised again by join
            self._failed = error

    def go_on(self) -> None:
        """Have the last tenth sent, as soon as the rest has been."""
        self._go_on.set()

    def join(self) -> float:
        """Wait for the end and give the pace it kept, events/s."""
        self.go_on()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return self._per_second


def _kill(stack: Stack, job: Running) -> int:
    """Kill the TaskManager of the operator; give how many records no transaction had committed."""
    index = job.taskmanager()
    before = job.restarts()
    await_until(lambda: _open_transaction(job), "a transaction with decisions in it")
    killed_s = time.monotonic()
    open_records = _open_transaction(job)
    stack.kill_taskmanager(index)
    open_records = min(open_records, _open_transaction(job))
    await_until(lambda: job.restarts() > before, "a restart")
    stack.start_taskmanager(index)
    await_until(lambda: _running(job), "the job to run again", 120)
    print(f"taskmanager-{index} killed, {open_records} records open; "  # noqa: T201
          f"runs again after {time.monotonic() - killed_s:.1f} s")  # fmt: skip
    return open_records


def _open_transaction(job: Running) -> int:
    bootstrap = job.stack.kafka_bootstrap
    return wire.uncommitted(bootstrap, job.settings.decisions_topic, PARTITIONS)


def _running(job: Running) -> bool:
    overview = job.rest()
    return overview["state"] == "RUNNING" and all(
        vertex["status"] == "RUNNING" for vertex in overview["vertices"]
    )


def _compare(job: Running, traffic: Traffic, ordering: str) -> None:
    counts = job.await_in(len(traffic.log), timeout_s=600)
    records = job.read("decisions", "late", "dead_letters")
    names = job.settings
    got = as_independent(records, names.decisions_topic, names.late_topic, names.dead_letters_topic)
    core = ShardSettings(
        idle_advance_ms=None, reorder=ORDERINGS[ordering], max_event_bytes=shop.MAX_EVENT_BYTES
    )
    plain, plain_counts = run_plain(traffic.log, shop.PARTS, shop.REVISION, core)
    print(f"{len(got.decisions)} decisions, {counts}")  # noqa: T201
    same(got, as_independent(plain))
    for name in ("in", "applied", "late", "dead", "doubled", "decisions", "matches"):
        assert counts[name] == plain_counts[name], name


@pytest.mark.parametrize(
    ("events", "kills", "ordering", "backend"),
    [
        pytest.param(60_000, 1, "event_time", "heap", id="short"),
        pytest.param(700_000, 5, "arrival", "rocksdb", id="long", marks=pytest.mark.slow),
        pytest.param(400_000, 5, "event_time", "heap", id="long-heap", marks=pytest.mark.slow),
    ],
)
def test_chaos_killed_taskmanagers_then_savepoint_and_other_parallelism(
    stack: Stack, events: int, kills: int, ordering: str, backend: str
) -> None:
    """Kill -9 at random moments, stop with a savepoint in mid-log, go on with parallelism 2."""
    rng = random.Random(events)
    traffic = make_traffic(events, events, dead=0.003)
    with Running(
        stack, f"chaos-{events}", ordering=ordering, state_backend=backend,
        idle_advance="off", max_event_bytes=shop.MAX_EVENT_BYTES, delivery="exactly-once",
        checkpoint_interval="2s",
    ) as job:  # fmt: skip
        job.publish(shop.manifest())
        job.start(parallelism=1)
        producing = _Producing(job, traffic)
        open_records = []
        for _ in range(kills):
            time.sleep(rng.uniform(2, 4))
            open_records.append(_kill(stack, job))
        assert any(open_records), "no kill met an open transaction"
        savepoint = job.stop_with_savepoint()
        assert job.counts()["in"] < len(traffic.log), "the savepoint came after the end of the log"
        producing.go_on()
        job.start(savepoint=savepoint, parallelism=2)
        per_second = producing.join()
        print(f"{len(traffic.log)} events, {per_second:.0f}/s; open: {open_records}")  # noqa: T201
        _compare(job, traffic, ordering)
        assert kills == 1 or per_second >= AT_LEAST_PER_SECOND
