"""Events per second of the main job where one event in twenty is decided on, scored or not."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contestants import start_decide
from benchmarks.log import EVENTS_TOPIC
from benchmarks.offer import COUNTED, SCORED, SPEC, elsewhere, write_model, write_users
from benchmarks.throughput import Result, Round, Told, run
from benchmarks.workload import AGGREGATES, PARTITIONS, RULES
from configs.compare_and_set import update
from configs.publish import Publisher
from configs.watch import MANIFEST
from feature_dist.spec import read_spec
from stack import Stack
from udfs.decisions.decision import Decision
from udfs.errors import StackError
from udfs.runtime.config_command import compile_
from udfs.runtime.publishing import Target, publish_table, publish_version

_LOOKED_AT: Final = 1_000
_QUERY_S: Final = 10.0


class Offering:
    """Our job with its default settings, rules and aggregates of the workload, and one flow.

    Args:
        name: Of the contestant; spelled with dashes it is the config's app, too.
        flow: The flow.
    """

    def __init__(self, name: str, flow: dict[str, Any]) -> None:
        self.name = name
        self.app = name.replace(" ", "-")
        self.flow = flow
        self.topics: list[str] = []

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `benchmarks.contestants.Contestant`."""
        self.topics.append(topic)
        return start_decide(stack, EVENTS_TOPIC, topic, config_app=self.app)


def measure(
    stack: Stack,
    counts: Sequence[int],
    rounds: int,
    told: Told,
    ended: Callable[[Round], None],
    say: Callable[[str], None],
) -> Result:
    """Let both jobs work the log off in turn.

    Args:
        stack: Where they run; the log is there.
        counts: Events of the log by partition.
        rounds: Of each.
        told: Progress.
        ended: Called with each round.
        say: Told what else happens.

    Raises:
        StackError: A job failed, or decisions were not scored.
    """
    scored, plain = Offering("with scoring", SCORED), Offering("without scoring", COUNTED)
    say("publishing a table and a model")
    root = (stack.settings.run_dir / "objects").as_uri()
    elsewhere(_publish_resources, stack.config_url, scored.app, root)
    for each in (scored, plain):
        _publish_flow(stack.config_url, each)
    result = run(stack, [scored, plain], counts, rounds, told, ended)
    for topic in scored.topics:
        _check(stack, topic)
    return result


def _publish_resources(config_url: str, app: str, root: str) -> None:
    target = Target(Publisher(config_url, app), root, compile_)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as made:
        folder = Path(made)
        write_users(folder / "users.parquet")
        (folder / "table").mkdir()
        publish_table(target, read_spec(SPEC), folder / "users.parquet", folder / "table")
        write_model(folder / "source")
        publish_version(target, folder / "source", folder / "model")


def _publish_flow(config_url: str, job: Offering) -> None:
    """Put rules, aggregates and the flow beside what the manifest points to."""

    def change(text: str | None) -> str:
        empty: dict[str, Any] = {"schema": 1, "revision": 0, "activate_at": None}
        value = json.loads(text) if text else empty
        parts = {"rules": RULES, "aggregates": AGGREGATES, "flows": [job.flow]}
        return json.dumps({**value, "revision": value["revision"] + 1, **parts})

    update(Publisher(config_url, job.app), MANIFEST, change)


def _check(stack: Stack, topic: str) -> None:
    """Look at the first decisions of each partition.

    Raises:
        StackError: One was made without a row or a score.
    """
    reader = Consumer(
        {
            "bootstrap.servers": stack.kafka_bootstrap,
            "group.id": f"bench-check-{topic}",
            "enable.auto.commit": False,
        }
    )
    try:
        reader.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        messages = reader.consume(_LOOKED_AT, _QUERY_S)
    finally:
        reader.close()
    found = [value for message in messages if (value := message.value()) and not message.error()]
    if not found:
        raise StackError(f"{topic} holds no decision")
    for value in found:
        decision = msgspec.json.decode(value, type=Decision)
        score = decision.scores.get("ctr")
        if score is None or not math.isfinite(score) or decision.reason.defaults:
            raise StackError(f"{topic}: a decision without row or score: {value.decode()}")
