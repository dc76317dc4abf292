"""What the demo starts, and therefore ends: stack, job, threads, commands."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import requests
from kafka.admin import KafkaAdminClient
from rich.console import Console

from configs.settings import DecideSettings
from stack import jobs
from stack.demo.offline import Offline
from stack.demo.threads import Reader, Sender
from stack.local import Stack
from udfs.errors import StackError

JOB: Final = "demo"

_TOPICS_S: Final = 30.0
_SLOT_S: Final = 5.0
_JOIN_S: Final = 10.0
_START_S: Final = 1.0


@dataclass(slots=True)
class Started:
    """What the demo has started.

    Args:
        parts: Of the stack.
        whole_stack: Nothing of it ran before.
        job: Its id.
        submitting: It may run already, under an id that is not known yet.
        offline: Its commands.
        threads: Sender and reader.
    """

    parts: list[str] = field(default_factory=list)
    whole_stack: bool = False
    job: str | None = None
    submitting: bool = False
    offline: Offline | None = None
    threads: list[Sender | Reader] = field(default_factory=list)

    def calm(self) -> None:
        """End threads and commands; stack and job go on."""
        if self.offline is not None:
            self.offline.end()
        for thread in self.threads:
            thread.stop()
        deadline = time.monotonic() + _START_S
        for thread in self.threads:
            # Ctrl-C may have come while it was being started.
            while thread.ident is None and time.monotonic() < deadline:
                time.sleep(_START_S / 100)
            if thread.ident is not None:
                thread.join(timeout=_JOIN_S)


def start_stack(stack: Stack, started: Started, say: Callable[[str], None]) -> None:
    """Join the stack or start it, and see to it that there is a free slot."""
    ran = set(stack.running())
    started.whole_stack = not ran
    stack.up()
    started.parts = [name for name in stack.running() if name not in ran]
    say(f"started {', '.join(started.parts)}" if started.parts else "joined the stack that runs")
    for job_id in _demo_jobs(stack):
        jobs.cancel(stack, job_id)
        say(f"cancelled the job {job_id} of an earlier demo")
    if not _slot_is_free(stack):
        index = max(stack.taskmanager_pids(), default=0) + 1
        stack.start_taskmanager(index)
        started.parts.append(f"taskmanager-{index}")
        say(f"no slot was free: started taskmanager-{index}")


def renew_topics(stack: Stack, settings: DecideSettings, say: Callable[[str], None]) -> None:
    """Begin with empty topics; their names are the demo's own."""
    missing = {settings.events_topic, *settings.topics().values()}
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    try:
        old = sorted(missing & set(admin.list_topics()))
        if old:
            admin.delete_topics(old)
    finally:
        admin.close()
    deadline = time.monotonic() + _TOPICS_S
    made: set[str] = set()
    while made != missing:
        if time.monotonic() > deadline:
            raise StackError(f"Kafka did not delete and create {sorted(missing - made)} in time")
        made |= set(jobs.create_topics(stack, settings))
    say(f"created the topics {', '.join(sorted(made))}")


def submit(stack: Stack, started: Started, settings: Mapping[str, str]) -> None:
    """Submit the job and wait until it runs."""
    started.submitting = True
    started.job = jobs.submit(stack, **settings)
    try:
        jobs.await_running(stack, started.job)
    except StackError as error:
        if "StaleCode" not in str(error):
            raise
        raise StackError(
            "the stack that runs has worked with other code than this; run 'millrace stop', then "
            f"the demo again\n{error}"
        ) from error


def end(stack: Stack, started: Started, console: Console) -> None:
    """Stop what the demo has started, and only that."""
    if started.whole_stack:
        stopped = stack.stop()
        console.print(f"stopped: {', '.join(stopped) or 'nothing was running'}")
        return
    if started.submitting:
        with contextlib.suppress(requests.RequestException):
            for job_id in _demo_jobs(stack):
                jobs.cancel(stack, job_id)
                console.print(f"cancelled the job {job_id}")
    if started.parts:
        stack.end(started.parts)
        console.print(f"stopped: {', '.join(started.parts)}")
    console.print("the rest of the stack ran before and goes on")


def _slot_is_free(stack: Stack) -> bool:
    """Tell whether a job would find a slot; a TaskManager tells its own a moment after itself."""
    deadline = time.monotonic() + _SLOT_S
    while True:
        overview = requests.get(f"{stack.flink_rest}/overview", timeout=10).json()
        if overview["slots-available"]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_SLOT_S / 20)


def _demo_jobs(stack: Stack) -> list[str]:
    return [job_id for job_id, name in jobs.running_jobs(stack).items() if name == JOB]
