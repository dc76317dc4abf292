"""Events per second of both jobs over the same log, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from benchmarks import threads
from benchmarks.contestants import Contestant, new_topic
from benchmarks.cores import quartiles
from benchmarks.progress import Curve, follow
from benchmarks.servers import fresh_taskmanager, load
from stack import Stack, jobs
from udfs.errors import StackError

FROM: Final = 0.5
TO: Final = 0.95
"""The part of the log that is timed: in the first half Java compiles itself, in both jobs."""

Told = Callable[[str, int], None]
"""Called with a job's name and the events that it has worked off."""


class Round(msgspec.Struct):
    """One job over the whole log.

    Args:
        job: Its name.
        events_per_s: Between `FROM` and `TO` of the log.
        decisions: That it wrote.
        load: Average of the last minute, when it began.
        cpu_us: CPU per event by kind of thread of the TaskManager, same part of the log.
    """

    job: str
    events_per_s: float
    decisions: int
    load: float
    cpu_us: dict[str, float]


class Result(msgspec.Struct):
    """All rounds.

    Args:
        events: In the log.
        rounds: In their order.
        matches_equal: Whether both jobs matched the same events in the first 95 % of the log.
        matches: How many the first job found.
        unshared: How many only one of them found.
    """

    events: int
    rounds: list[Round]
    matches_equal: bool = False
    matches: int = 0
    unshared: int = 0

    def rates(self, job: str) -> list[float]:
        """Give the rates of a job."""
        return [each.events_per_s for each in self.rounds if each.job == job]

    def median(self, job: str) -> float:
        """Give the median rate of a job."""
        return quartiles(self.rates(job))[0]

    def ratios(self, job: str, other: str) -> list[float]:
        """Give the ratio of each round."""
        return [a / b for a, b in zip(self.rates(job), self.rates(other), strict=True)]


def run(
    stack: Stack,
    contestants: Sequence[Contestant],
    counts: Sequence[int],
    rounds: int,
    told: Told,
    ended: Callable[[Round], None],
) -> Result:
    """Let the jobs work the log off in turn, each in a fresh TaskManager.

    Args:
        stack: Where they run; the log is there.
        contestants: The jobs.
        counts: Events of the log by partition.
        rounds: Of each.
        told: Progress.
        ended: Called with each round.
    """
    result = Result(sum(counts), [])
    matched: dict[str, set[tuple[str, ...]]] = {}
    for number in range(rounds):
        # Who goes first changes, so that neither always finds the machine as the other left it.
        order = contestants if number % 2 == 0 else list(reversed(contestants))
        for contestant in order:
            each, curve = _round(stack, contestant, number, counts, told)
            result.rounds.append(each)
            ended(each)
            matched[contestant.name] = curve.matches
    found = list(matched.values())
    result.matches = len(found[0])
    result.unshared = sum(len(found[0] ^ each) for each in found[1:])
    result.matches_equal = result.unshared == 0
    return result


def _round(
    stack: Stack, contestant: Contestant, number: int, counts: Sequence[int], told: Told
) -> tuple[Round, Curve]:
    busy = load()[0]
    pid = fresh_taskmanager(stack)
    slug = contestant.name.lower().replace(" ", "-")
    topic = new_topic(stack, f"decisions-{slug}-{number}")
    job = contestant.start(stack, topic)
    marks: list[tuple[int, dict[str, float]]] = []

    def watch(events: int) -> None:
        if len(marks) < 2 and events >= (FROM, TO)[len(marks)] * sum(counts):
            marks.append((events, threads.cpu_seconds(pid)))
        told(contestant.name, events)

    def alive() -> None:
        # A job that fails is started again and would be slow without a word.
        if jobs.state(stack, job) not in ("CREATED", "RUNNING"):
            raise StackError(f"{contestant.name} has failed: {jobs.reason(stack, job)}")

    curve = follow(stack.kafka_bootstrap, topic, counts, watch, alive)
    jobs.cancel(stack, job)
    time.sleep(1)
    cpu = {}
    if len(marks) == 2:
        (first, before), (last, after) = marks
        cpu = threads.per_event(before, after, last - first)
    return Round(contestant.name, curve.rate(FROM, TO), curve.decisions, busy, cpu), curve
