"""Pushes of rules while events come at a steady rate: how long the stream waits for them.

The job is submitted with an operator that notes its times (`benchmarks.in_worker`). One part of
the run is left alone, in the next one new rule sets are pushed through the config server. A push
that takes longer than its turn puts off the next, so that none is overtaken.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import in_worker
from benchmarks.contestants import job_id, new_topic
from benchmarks.in_worker.marks import CALLS, GAPS
from benchmarks.live import Acks, Producer
from benchmarks.log import create_topic, read_back
from benchmarks.pushing import publish
from benchmarks.rule_log import parts
from benchmarks.servers import fresh_taskmanager, load
from benchmarks.swap_rules import Pushes
from benchmarks.swap_times import Part, Window, longest, part, read_calls, read_gaps
from benchmarks.workload import PARTITIONS
from stack import Stack, jobs
from stack.shipping import stage
from udfs.errors import StackError

RULES: Final = 1_000
SECONDS: Final = 60.0
PUSHES: Final = 10
BAR: Final = 2.0
"""The part with pushes may have a p99.9 so many times that of the part without."""

_APP: Final = "swaps"
_EVENTS: Final = "events-swaps"
_DECISIONS: Final = "decisions-swaps"
_WARM_UP_S: Final = 30.0
_DRAIN_S: Final = 5.0


class Plan(msgspec.Struct):
    """What is to be done.

    Args:
        rate: Events per second.
        rules: In every set.
        users: How many there are.
        seconds: Of either part; the second one is longer if its pushes take longer.
        pushes: In the second part.
        gil: Whether the sampler runs.
    """

    rate: float
    rules: int
    users: int
    seconds: float
    pushes: int
    gil: bool


class Push(msgspec.Struct):
    """One push; times in ms after it was published.

    Args:
        revision: Of the manifest.
        ready: When the worker was, None if it never was.
        committed: When the watcher said so, None if it never did.
        prepare: The worker's call that took it, ms; None if there was none.
        ended: Last that was told of it: ``COMMITTED``, ``SUPERSEDED`` …
    """

    revision: int
    ready: int | None
    committed: int | None
    prepare: float | None
    ended: str


class Swaps(msgspec.Struct):
    """What was seen.

    Args:
        plan: What was done.
        reached: Events per second that were produced.
        lateness_p99: How late the producer's bursts were, ms: the machine's own delay.
        load: Average of the last minute before.
        alone: The part without pushes.
        pushed: The part with them.
        pushes: Each of them.
    """

    plan: Plan
    reached: float
    lateness_p99: float
    load: float
    alone: Part
    pushed: Part
    pushes: list[Push]


class _Decision(msgspec.Struct):
    at: int


def run(stack: Stack, plan: Plan, told: Callable[[str], None]) -> Swaps:
    """Measure both parts.

    Args:
        stack: Where the job runs.
        plan: What is to be done.
        told: What happens.

    Raises:
        StackError: The job fails, or has noted nothing.
    """
    busy = load()[0]
    fresh_taskmanager(stack)
    create_topic(stack.kafka_bootstrap, _EVENTS)
    new_topic(stack, _DECISIONS)
    sets = Pushes(plan.rules)
    publish(stack, _APP, 1, parts(sets.manifest()))
    folder = stack.settings.run_dir / "marks"
    folder.mkdir(exist_ok=True)
    told("starting the job")
    job = _submit(stack, folder, gil=plan.gil)
    jobs.await_running(stack, job)
    acks = Acks(stack.kafka_bootstrap, jobs.settings_for(stack).acks_topic, _APP)
    published: list[tuple[int, int, int]] = []
    with Producer(stack.kafka_bootstrap, _EVENTS, plan.rate, plan.users) as source:
        told("warm-up")
        time.sleep(_WARM_UP_S + plan.seconds / 2)
        marks = [_now()]
        told("left alone")
        time.sleep(plan.seconds)
        marks.append(_now())
        for number in range(plan.pushes):
            _until(marks[1][0] + round(number * plan.seconds / plan.pushes * 1e9))
            sets.change()
            revision = number + 2
            told(f"push {number + 1} of {plan.pushes}")
            began_ns = time.perf_counter_ns()
            at_ms = publish(stack, _APP, revision, parts(sets.manifest()))
            published.append((revision, at_ms, began_ns))
            acks.await_end(revision)
        _until(marks[1][0] + round(plan.seconds * 1e9))
        marks.append(_now())
        told("the end")
        time.sleep(_DRAIN_S)
        reached, late_ms = source.stop()
    acks.close()
    if (why := jobs.reason(stack, job)) != jobs.NO_FAILURE:
        raise StackError(f"the job was started again: {why}")
    jobs.cancel(stack, job)
    windows = [
        Window(name, begin[0], end[0], begin[1], end[1])
        for name, begin, end in zip(("left alone", "with pushes"), marks, marks[1:], strict=False)
    ]
    calls = read_calls(folder / CALLS)
    if not len(calls):
        raise StackError(f"{folder / CALLS} is empty; see the TaskManager's log")
    gaps = read_gaps(folder / GAPS) if plan.gil else None
    latencies = _latencies(stack)
    alone, pushed = (part(window, calls, latencies, gaps) for window in windows)
    return Swaps(plan, reached, late_ms, busy, alone, pushed, _pushes(acks, published, calls))


def _submit(stack: Stack, folder: Path, *, gil: bool) -> str:
    """Submit ``jobs/decide`` with the operator that notes its times."""
    given: dict[str, Any] = {
        "events_topic": _EVENTS,
        "decisions_topic": _DECISIONS,
        "job_name": _APP,
        "group_id": _APP,
        "config_app": _APP,
        "start_from": "earliest",
    }
    jobs.create_topics(stack, jobs.settings_for(stack, **given))
    shipped = stage(stack.settings.run_dir / "shipped")
    # Beside the packages whose digest the workers check, which stay as they are.
    source = Path(in_worker.__file__).parent
    beside = shipped / "benchmarks" / source.name
    shutil.copytree(source, beside, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source.parent / "__init__.py", beside.parent)
    result = stack.flink(
        "run", "-d", "-py", str(beside / "swap_job.py"), "-pyfs", str(shipped),
        "--marks", str(folder), *(["--gil"] if gil else []), *jobs.arguments_for(stack, **given),
    )  # fmt: skip
    return job_id(result, "the job with marks")


def _now() -> tuple[int, int]:
    """Give the clock of the calls in ns, and the wall clock in ms."""
    return time.perf_counter_ns(), time.time_ns() // 1_000_000


def _until(moment_ns: int) -> None:
    time.sleep(max(0.0, (moment_ns - time.perf_counter_ns()) / 1e9))


def _latencies(stack: Stack) -> list[tuple[int, int]]:
    """Give when each decided event was made, and how long until the broker had the decision."""
    return [
        ((at := msgspec.json.decode(value, type=_Decision).at), at_ms - at)
        for at_ms, value in read_back(stack.kafka_bootstrap, _DECISIONS, PARTITIONS)
    ]


def _pushes(acks: Acks, published: list[tuple[int, int, int]], calls: Any) -> list[Push]:
    """Give what became of each push."""
    found = []
    ends = [*(began for _, _, began in published[1:]), calls[-1, 2] + 1]
    for (revision, at_ms, began_ns), until_ns in zip(published, ends, strict=True):
        own = acks.of(revision)
        times = {ack.status: ack.at - at_ms for ack in own}
        found.append(
            Push(
                revision, times.get("READY"), times.get("COMMITTED"),
                longest(calls, "prepare", began_ns, until_ns),
                own[-1].status if own else "nothing told",
            )
        )  # fmt: skip
    return found
