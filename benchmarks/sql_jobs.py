"""The main job with 100 aggregates beside a Flink SQL job that has the same ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.aggregate_log import aggregates, parts, script
from benchmarks.contestants import Contestant, build, job_id, start_decide
from benchmarks.log import EVENTS_TOPIC, read_back
from benchmarks.pushing import publish
from benchmarks.rule_jobs import Run, one
from benchmarks.workload import PARTITIONS
from configs.settings import load_settings
from stack import Stack
from udfs.errors import StackError

COUNT: Final = 100
EVERY: Final = (100, 1)
"""Values are read at one of so many events."""
BARS: Final = {100: 4.0, 1: 1.5}
LIMIT_S: Final = 90.0

_SOURCES: Final = Path(__file__).parent / "flink_sql"


class Agreement(msgspec.Struct):
    """Whether both jobs read the same values.

    Args:
        every: Read at one of so many events.
        events: Read by both.
        values: Compared.
        unequal: Of them.
    """

    every: int
    events: int
    values: int
    unequal: int


class Result(msgspec.Struct):
    """All rounds."""

    events: int
    users: int
    aggregates: int
    runs: list[Run] = []
    agreements: list[Agreement] = []

    def rates(self, job: str, every: int) -> list[float]:
        """Give a job's rate in each round."""
        return [each.events_per_s for each in self.runs if (each.job, each.rules) == (job, every)]

    def ratios(self, every: int) -> list[float]:
        """Give our rate to Flink's in each round."""
        pairs = zip(self.rates(Ours.name, every), self.rates(FlinkSql.name, every), strict=True)
        return [ours / theirs for ours, theirs in pairs]


class Ours:
    """Our job with default settings.

    Args:
        every: Values are read at one of so many events.
    """

    name = "millrace"

    def __init__(self, every: int) -> None:
        self._app = f"aggregates-{every}"
        self._every = every

    def publish(self, stack: Stack) -> None:
        """Give the config server its aggregates."""
        publish(stack, self._app, 1, parts(COUNT, self._every))

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `benchmarks.contestants.Contestant`."""
        return start_decide(stack, EVENTS_TOPIC, topic, config_app=self._app)


class FlinkSql:
    """The SQL job.

    Args:
        jar: What executes it.
        every: Values are written at one of so many events.
        folder: For its script.
    """

    name = "Flink SQL"

    def __init__(self, jar: Path, every: int, folder: Path) -> None:
        self._jar = jar
        self._every = every
        self._folder = folder

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `benchmarks.contestants.Contestant`."""
        path = self._folder / f"{topic}.sql"
        path.write_text(
            script(COUNT, self._every, stack.kafka_bootstrap, EVENTS_TOPIC, topic, topic)
        )
        interval = str(load_settings([]).checkpoint_interval)
        result = stack.flink("run", "-d", "-c", "Sql", str(self._jar), str(path), interval, topic)
        return job_id(result, "the Flink SQL job")


def run(
    stack: Stack,
    plan: Result,
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
        counts: Events of the log by partition.
        rounds: Of each.
        folder: For scripts.
        told: Called with a job and the events that it has worked off.
        ended: Called with each run.
    """
    jar = build(stack, _SOURCES, "flink-sql-job")
    for number in range(rounds):
        for every in EVERY:
            ours = Ours(every)
            if not number:
                ours.publish(stack)
            pair: list[Contestant] = [ours, FlinkSql(jar, every, folder)]
            for job in pair if number % 2 == 0 else pair[::-1]:
                found, _ = one(stack, job, every, number, counts, math.inf, told)
                plan.runs.append(found)
                ended(found)
            if not number:
                plan.agreements.append(_agree(stack, every, number))
    return plan


class _Trigger(msgspec.Struct):
    event_ids: list[str]


class _Decision(msgspec.Struct):
    trigger: _Trigger
    features: dict[str, Any]


def _agree(stack: Stack, every: int, number: int) -> Agreement:
    """Compare the values that both have written."""
    names = [one.name for one in aggregates(COUNT)]
    topics = [f"decisions-{slug}-{every}-{number}" for slug in ("millrace", "flink-sql")]
    decode = msgspec.json.Decoder(_Decision).decode
    ours = {}
    for _, value in read_back(stack.kafka_bootstrap, topics[0], PARTITIONS):
        decision = decode(value)
        ours[decision.trigger.event_ids[0]] = decision.features
    events = values = unequal = 0
    for _, value in read_back(stack.kafka_bootstrap, topics[1], PARTITIONS):
        row = msgspec.json.decode(value)
        found = ours.get(row["trigger"]["event_ids"][0])
        if found is not None:
            events += 1
            for name in names:
                values += 1
                # SQL has null for the sum of nothing.
                unequal += not _same(found[name], row[name])
    if not events:
        raise StackError(f"{topics}: no event was read by both jobs")
    return Agreement(every, events, values, unequal)


def _same(ours: Any, theirs: Any) -> bool:
    if theirs is None:
        return ours in (None, 0)
    return ours is not None and math.isclose(ours, theirs, rel_tol=1e-9)
