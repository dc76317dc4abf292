"""The main job with many rules beside a Flink CEP job that has the same ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import threads
from benchmarks.contestants import Contestant, FlinkCep, build, new_topic, start_decide
from benchmarks.log import EVENTS_TOPIC
from benchmarks.progress import Curve, Point, follow
from benchmarks.pushing import publish
from benchmarks.rule_log import parts, rule_set
from benchmarks.rule_workload import name_of
from benchmarks.servers import fresh_taskmanager, load
from benchmarks.throughput import FROM, TO
from stack import Stack, jobs
from udfs.errors import StackError

SIZES: Final = (1, 10, 100, 1_000)
MOST_OPERATORS: Final = 100
"""Flink has no more rules: each is an operator with a thread, network buffers and a copy of the
stream, and the rate falls with each."""

LIMIT_S: Final = 90.0
"""How long Flink is watched, from its first match on, if it has not worked the log off before."""

BARS: Final = {1: 1.2, 10: 3.5, 100: 30.0}
"""Wanted ratio of our rate to Flink's, by rules."""

KEPT_BAR: Final = 1_000, 0.6
"""With so many rules, so much of our own rate with one is wanted."""

_MARGIN: Final = 2_500
"""Events of a partition by which one operator of Flink's may be ahead of another, and more: what
20 network buffers hold, and what is fetched of a partition at once."""

_CPU_EVERY_MS: Final = 1_000


class Run(msgspec.Struct):
    """One job over the log, or over what it could do of it.

    Args:
        job: Its name.
        rules: How many it has.
        events_per_s: In the timed part.
        events: Worked off.
        whole: Whether that was all; the timed part is then `FROM` to `TO` of the log, else the
            second half of the time from its first match on.
        decisions: That it wrote.
        load: Average of the last minute, when it began.
        cpu_us: CPU per event by kind of thread of the TaskManager, in the timed part.
    """

    job: str
    rules: int
    events_per_s: float
    events: int
    whole: bool
    decisions: int
    load: float
    cpu_us: dict[str, float]


class Agreement(msgspec.Struct):
    """Whether both jobs found the same, where both have been.

    Args:
        rules: How many both had.
        events: Of the log, those that both have worked off for certain.
        matches: That ours found there.
        of_rare: Those of other rules than the first.
        unshared: Found by only one of both.
    """

    rules: int
    events: int
    matches: int
    of_rare: int
    unshared: int


class Result(msgspec.Struct):
    """All rounds."""

    events: int
    users: int
    limit_s: float
    runs: list[Run] = []
    agreements: list[Agreement] = []

    def rates(self, job: str, rules: int) -> list[float]:
        """Give a job's rate in each round."""
        return [each.events_per_s for each in self.runs if (each.job, each.rules) == (job, rules)]

    def ratios(self, rules: int) -> list[float]:
        """Give our rate to Flink's in each round; none where Flink was not run."""
        theirs = self.rates(FlinkCep.name, rules)
        return [a / b for a, b in zip(self.rates(Many.name, rules), theirs, strict=False)]

    def kept(self, rules: int) -> list[float]:
        """Give our rate to our own with one rule in each round."""
        alone = self.rates(Many.name, 1)
        return [a / b for a, b in zip(self.rates(Many.name, rules), alone, strict=False)]


class Many:
    """Our job with default settings and a flow for each rule.

    Args:
        rules: How many.
    """

    name = "millrace"

    def __init__(self, rules: int) -> None:
        self._rules = rules

    def publish(self, stack: Stack) -> None:
        """Give the config server its rules."""
        publish(stack, self._app, 1, parts(rule_set(self._rules).manifest()))

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `benchmarks.contestants.Contestant`."""
        return start_decide(stack, EVENTS_TOPIC, topic, config_app=self._app)

    @property
    def _app(self) -> str:
        return f"rules-{self._rules}"


def run(
    stack: Stack,
    plan: Result,
    sizes: Sequence[int],
    counts: Sequence[int],
    rounds: int,
    folder: Path,
    told: Callable[[str, int], None],
    ended: Callable[[Run], None],
) -> Result:
    """Let the jobs work the log off in turn, each in a fresh TaskManager.

    Args:
        stack: Where they run; the log is there.
        plan: Filled with what is found.
        sizes: How many rules, one number after the other in every round.
        counts: Events of the log by partition.
        rounds: Of each.
        folder: For files of rules.
        told: Called with a job and the events that it has worked off.
        ended: Called with each run.
    """
    jar = build(stack)
    pairs: dict[int, list[Contestant]] = {}
    for rules in sizes:
        ours = Many(rules)
        ours.publish(stack)
        pairs[rules] = [ours]
        if rules <= MOST_OPERATORS:
            path = folder / f"rules-{rules}.txt"
            rule_set(rules).write(path)
            pairs[rules].append(FlinkCep(jar, path))
    for number in range(rounds):
        for rules, pair in pairs.items():
            # Who goes first changes, so that neither always finds the machine as the other left it.
            order = pair if number % 2 == 0 else pair[::-1]
            curves = {}
            for job in order:
                each, curves[job.name] = one(stack, job, rules, number, counts, plan.limit_s, told)
                plan.runs.append(each)
                ended(each)
            if len(curves) == len((Many.name, FlinkCep.name)):
                plan.agreements.append(agree(rules, curves[Many.name], curves[FlinkCep.name]))
    return plan


def timed_part(curve: Curve, limit_s: float) -> tuple[Point, Point]:
    """Give where the timed part begins and ends: see `Run`.

    Args:
        curve: Of the job.
        limit_s: When it was stopped, if it has not worked the log off.
    """
    points = curve.points()
    if curve.ended:
        # Of a short log a job in event time holds back more than a twentieth.
        last = min(TO * curve.total, curve.events)
        return (
            next(point for point in points if point.events >= FROM * curve.total),
            next(point for point in points if point.events >= last),
        )
    half_ms = points[0].at_ms + round(limit_s * 500)
    end_ms = points[0].at_ms + round(limit_s * 1_000)
    done = [max((p.events for p in points if p.at_ms <= at), default=0) for at in (half_ms, end_ms)]
    return Point(half_ms, done[0]), Point(end_ms, done[1])


def rate_of(began: Point, ended: Point) -> float:
    """Give events per second; at least one event is taken to have been worked off."""
    return max(1, ended.events - began.events) * 1_000 / max(1, ended.at_ms - began.at_ms)


def agree(rules: int, ours: Curve, theirs: Curve) -> Agreement:
    """Compare what both found where both have been."""
    upto = [
        max(0, min(places) - _MARGIN) for places in zip(ours.reached, theirs.reached, strict=True)
    ]
    found = ours.named(upto)
    rare = sum(name[0] != name_of(0) for name in found)
    return Agreement(rules, sum(upto), len(found), rare, len(found ^ theirs.named(upto)))


def cpu_between(
    samples: Sequence[tuple[int, dict[str, float]]], began: Point, ended: Point
) -> dict[str, float]:
    """Give CPU µs an event of the timed part, as nearly as it was sampled.

    Args:
        samples: Time, ms since the epoch, and CPU seconds by thread until then.
        began: Where the timed part begins.
        ended: And where it ends.
    """
    before = min(samples, key=lambda sample: abs(sample[0] - began.at_ms))
    after = min(samples, key=lambda sample: abs(sample[0] - ended.at_ms))
    events = rate_of(began, ended) * (after[0] - before[0]) / 1_000
    return threads.per_event(before[1], after[1], round(events)) if events else {}


def one(
    stack: Stack,
    contestant: Contestant,
    rules: int,
    number: int,
    counts: Sequence[int],
    limit_s: float,
    told: Callable[[str, int], None],
    what: str = "rules",
) -> tuple[Run, Curve]:
    """Let one job work the log off in a fresh TaskManager.

    Args:
        stack: Where it runs; the log is there.
        contestant: The job.
        rules: How many it has.
        number: Of the round.
        counts: Events of the log by partition.
        limit_s: How long Flink is watched.
        told: Called with the job and the events that it has worked off.
        what: There are so many of.

    Raises:
        StackError: It has failed, were it only once.
    """
    busy = load()[0]
    pid = fresh_taskmanager(stack)
    slug = contestant.name.lower().replace(" ", "-")
    topic = new_topic(stack, f"decisions-{slug}-{rules}-{number}")
    job = contestant.start(stack, topic)
    samples: list[tuple[int, dict[str, float]]] = []

    def watch(events: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        if not samples or now_ms - samples[-1][0] >= _CPU_EVERY_MS:
            samples.append((now_ms, threads.cpu_seconds(pid)))
        told(f"{contestant.name}, {rules:,} {what}", events)

    def alive() -> None:
        # A job that fails is started again and would be slow without a word.
        if jobs.state(stack, job) not in ("CREATED", "RUNNING"):
            raise StackError(f"{contestant.name} has failed: {jobs.reason(stack, job)}")

    limit_s = limit_s if contestant.name == FlinkCep.name else math.inf
    curve = follow(stack.kafka_bootstrap, topic, counts, watch, alive, limit_s)
    samples.append((time.time_ns() // 1_000_000, threads.cpu_seconds(pid)))
    alive()
    if (why := jobs.reason(stack, job)) != jobs.NO_FAILURE:
        raise StackError(f"{contestant.name} with {rules} rules was started again: {why}")
    jobs.cancel(stack, job)
    time.sleep(1)
    began, ended = timed_part(curve, limit_s)
    found = Run(
        contestant.name, rules, rate_of(began, ended), curve.events, curve.ended, curve.decisions,
        busy, cpu_between(samples, began, ended),
    )  # fmt: skip
    return found, curve
