"""The two jobs that are compared, behind one interface."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.log import EVENTS_TOPIC, create_topic
from benchmarks.servers import BENCH
from benchmarks.workload import WITHIN_MINUTES
from configs.settings import DecideSettings, load_settings
from stack import Stack, java, jobs
from udfs.errors import StackError

_SOURCES: Final = Path(__file__).parent / "flink_cep"
_JOB_ID: Final = re.compile(r"JobID ([0-9a-f]{32})")


class Contestant(Protocol):
    """A job that reads the log and writes decisions."""

    name: str

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it.

        Args:
            stack: Where to.
            topic: Where its decisions go; created by the caller.

        Returns:
            The job's id.
        """


class Millrace:
    """Our job with its default settings."""

    name = "millrace"

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `Contestant`."""
        return start_decide(stack, EVENTS_TOPIC, topic)


def start_decide(stack: Stack, events: str, decisions: str, **further: Any) -> str:
    """Submit ``jobs/decide``, with default settings unless others are given.

    Args:
        stack: Where to.
        events: Topic that it reads from the beginning.
        decisions: Topic of the decisions.
        further: Settings by name.

    Returns:
        The job's id.
    """
    given: dict[str, Any] = {
        "events_topic": events,
        "decisions_topic": decisions,
        "job_name": decisions,
        "group_id": decisions,
        "start_from": "earliest",
        **further,
    }
    jobs.create_topics(stack, jobs.settings_for(stack, **given))
    return jobs.submit(stack, **given)


class FlinkCep:
    """The Java job of ``flink_cep``.

    Args:
        jar: What `build` made.
        rules: File of rules as `benchmarks.rule_workload.Rules.write` writes it; without it the
            job has the one rule of `benchmarks.workload`.
    """

    name = "Flink CEP"

    def __init__(self, jar: Path, rules: Path | None = None) -> None:
        self._jar = jar
        self._rules = [] if rules is None else [str(rules)]

    def start(self, stack: Stack, topic: str) -> str:
        """Submit it; see `Contestant`."""
        defaults: DecideSettings = load_settings([])
        result = stack.flink(
            "run", "-d", "-c", "Main", str(self._jar),
            stack.kafka_bootstrap, EVENTS_TOPIC, topic,
            str(defaults.checkpoint_interval), str(defaults.out_of_orderness),
            str(WITHIN_MINUTES), topic, *self._rules,
        )  # fmt: skip
        return job_id(result, "the Flink CEP job")


def job_id(result: subprocess.CompletedProcess[str], what: str) -> str:
    """Give the id of the job that ``flink run`` has submitted.

    Args:
        result: Of the command.
        what: Was submitted.

    Raises:
        StackError: It was not.
    """
    found = _JOB_ID.search(result.stdout)
    if found is None:
        told = (result.stdout + result.stderr)[-4000:]
        raise StackError(f"{what} was not submitted:\n{told}")
    return found[1]


def build(stack: Stack, sources: Path = _SOURCES, name: str = "flink-cep-job") -> Path:
    """Compile a Java job with the jars of the distribution.

    Args:
        stack: Whose distribution.
        sources: Folder of the classes.
        name: Of the jar.

    Raises:
        StackError: ``javac`` or ``jar`` is not there, or fails.
    """
    classes = BENCH / f"{name}-classes"
    jar = BENCH / f"{name}.jar"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir(parents=True)
    tools = Path(java.find()).resolve().parent
    class_path = os.pathsep.join(str(path) for path in (stack.flink_home / "lib").glob("*.jar"))
    for command in (
        [
            str(tools / "javac"),
            "-d",
            str(classes),
            "-cp",
            class_path,
            *map(str, sorted(sources.glob("*.java"))),
        ],
        [str(tools / "jar"), "cf", str(jar), "-C", str(classes), "."],
    ):
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise StackError(f"{command[0]} is not there: install a JDK, not only a JRE") from error
        if result.returncode:
            raise StackError(f"{command[0]} failed:\n{(result.stdout + result.stderr)[-4000:]}")
    return jar


def new_topic(stack: Stack, name: str) -> str:
    """Create a topic for decisions and give its name."""
    create_topic(stack.kafka_bootstrap, name)
    return name
