"""One job on the stack, with topics and configs of its own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import requests

from configs.publish import Publisher
from configs.watch import KILL, MANIFEST
from stack import Stack, jobs
from tests.e2e import wire
from tests.e2e.traffic import Logged
from udfs.decisions.records import Record

PARTITIONS = 4
_POLL_S = 0.3


def await_until(probe: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Ask until the answer is true, and give it."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := probe()):
        assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(_POLL_S)
    return answer


class Running:
    """A job that a test started; a context manager that cancels it.

    Args:
        stack: Where it runs.
        name: Beginning of the name of its topics, and of its app at the config server.
        given: Its settings, as on the command line.
    """

    def __init__(self, stack: Stack, name: str, **given: object) -> None:
        self.stack = stack
        self.name = name = f"{name}-{uuid.uuid4().hex[:6]}"
        topics = (
            "events", "decisions", "late", "dead_letters", "sessions", "control", "acks", "alerts",
        )  # fmt: skip
        self._given: dict[str, object] = {
            "job_name": name, "group_id": name, "config_app": name, "start_from": "earliest",
            "checkpoint_interval": "1s", "counts_interval": "1s",
            **{f"{topic}_topic": f"{name}-{topic}" for topic in topics},
            **given,
        }  # fmt: skip
        self.settings = jobs.settings_for(stack, **self._given)
        jobs.create_topics(stack, self.settings, partitions=PARTITIONS)
        self.publisher = Publisher(stack.config_url, name)
        self.job_id = ""
        self._offsets = [0] * PARTITIONS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    # -- the job ----------------------------------------------------------------------------

    def start(self, *, savepoint: str | None = None, **changed: object) -> Self:
        """Submit it and wait until it runs."""
        self._given |= changed
        self.job_id = jobs.submit(self.stack, savepoint=savepoint, **self._given)
        jobs.await_running(self.stack, self.job_id)
        return self

    def cancel(self) -> None:
        """End it, if it runs."""
        ended = ("CANCELED", "FINISHED", "FAILED")
        if self.job_id and jobs.state(self.stack, self.job_id) not in ended:
            jobs.cancel(self.stack, self.job_id)

    def stop_with_savepoint(self) -> str:
        """Stop it and give the savepoint."""
        return jobs.stop_with_savepoint(self.stack, self.job_id)

    def rest(self, path: str = "") -> Any:
        """Ask Flink about the job."""
        answer = requests.get(f"{self.stack.flink_rest}/jobs/{self.job_id}{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def restarts(self) -> int:
        """How often the operator has been restarted; metrics would tell ten seconds later."""
        return max(int(subtask["attempt"]) for subtask in self._subtasks())

    def taskmanager(self) -> int:
        """Give the index of a TaskManager that runs the operator."""
        return int(self._subtasks()[0]["taskmanager-id"].split("-")[1])

    def _subtasks(self) -> list[dict[str, Any]]:
        vertices = self.rest()["vertices"]
        decide = next(v["id"] for v in vertices if v["name"].startswith("decide"))
        found: list[dict[str, Any]] = self.rest(f"/vertices/{decide}")["subtasks"]
        return found

    # -- configs ----------------------------------------------------------------------------

    def publish(self, text: str) -> None:
        """Publish a manifest."""
        self.publisher.publish(MANIFEST, text)

    def kill(self, **stopped: object) -> None:
        """Publish the kill switch."""
        self.publisher.publish(KILL, json.dumps({"schema": 1, **stopped}))

    def acks(self, **wanted: object) -> list[dict[str, Any]]:
        """Give the records of ``acks`` that hold these values."""
        return _having(self._values("acks"), wanted)

    def await_ack(self, timeout_s: float = 60.0, **wanted: object) -> dict[str, Any]:
        """Wait for such a record."""
        return await_until(lambda: self.acks(**wanted), f"{self.name} acks {wanted}", timeout_s)[-1]

    # -- records ----------------------------------------------------------------------------

    def produce(self, log: Sequence[Logged], *, per_second: float | None = None) -> None:
        """Send the next records of a log."""
        events = self.settings.events_topic
        wire.produce(self.stack.kafka_bootstrap, events, log, per_second=per_second)
        for logged in log:
            self._offsets[logged.partition] = logged.offset + 1

    def send(self, *events: Mapping[str, Any], partition: int = 0) -> None:
        """Send events, one after the other, to one partition."""
        self.send_raw(
            *((str(e["user_id"]).encode(), json.dumps(e).encode()) for e in events),
            partition=partition,
        )

    def send_raw(self, *records: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        """Send keys and values to one partition."""
        first = self._offsets[partition]
        self.produce([
            Logged(key, value, partition, first + i) for i, (key, value) in enumerate(records)
        ])  # fmt: skip

    def read(self, *roles: str, committed: bool = True) -> list[Record]:
        """Give all records of topics, e.g. ``decisions`` and ``late``."""
        names = [getattr(self.settings, f"{role}_topic") for role in roles]
        return wire.read(self.stack.kafka_bootstrap, names, committed=committed)

    def _values(self, role: str) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.read(role)]

    def decisions(self, **wanted: object) -> list[dict[str, Any]]:
        """Give the decisions that hold these values."""
        return _having(self._values("decisions"), wanted)

    def control(self, kind: str) -> list[dict[str, Any]]:
        """Give the control records of a kind."""
        return _having(self._values("control"), {"kind": kind})

    def counts(self) -> dict[str, int]:
        """Sum the latest counts of the shards."""
        latest = {record["shard"]: record["counts"] for record in self.control("counts")}
        names = {name for counts in latest.values() for name in counts}
        return {name: sum(counts[name] for counts in latest.values()) for name in names}

    def await_in(self, number: int, timeout_s: float = 120.0) -> dict[str, int]:
        """Wait until so many records have been worked off, and give the counts."""
        seen: dict[str, int] = {}

        def probe() -> bool:
            seen.clear()
            seen.update(self.counts())
            return seen.get("in", 0) >= number

        try:
            await_until(probe, f"{self.name}: {number} records in", timeout_s)
        except AssertionError as error:
            state = jobs.state(self.stack, self.job_id)
            why = jobs.reason(self.stack, self.job_id)
            raise AssertionError(f"{error}; counts {seen}, job {state}: {why}") from None
        return seen


def _having(values: Iterable[dict[str, Any]], wanted: Mapping[str, object]) -> list[dict[str, Any]]:
    return [v for v in values if all(v.get(name) == value for name, value in wanted.items())]
