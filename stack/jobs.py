"""Jobs on a stack: topics, submission, savepoints, what runs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import requests
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from configs.settings import DecideSettings, load_settings
from stack.local import Stack
from stack.shipping import stage
from udfs.errors import StackError

_JOB_ID: Final = re.compile(r"JobID ([0-9a-f]{32})")
_REST_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.2

NO_FAILURE: Final = "no failure told"
"""What `reason` gives for a job that never failed."""


def settings_for(stack: Stack, **given: object) -> DecideSettings:
    """Give a job's settings for a stack.

    Args:
        stack: Where it will run.
        given: Settings by name, written as on the command line.
    """
    return load_settings(arguments_for(stack, **given))


def arguments_for(stack: Stack, **given: object) -> list[str]:
    """Give the command line of a job for a stack; see `settings_for`."""
    known: dict[str, object] = {
        "bootstrap_servers": stack.kafka_bootstrap,
        "config_url": stack.config_url,
        "config_cache": str(stack.settings.run_dir / "config-cache"),
        "local_dir": str(stack.settings.run_dir / "local"),
    }
    arguments = []
    for name, value in {**known, **given}.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    return arguments


def create_topics(
    stack: Stack, settings: DecideSettings, *, partitions: int = 4, configs: Mapping[str, str] = {}
) -> list[str]:
    """Create the topics of a job that are not there yet.

    Args:
        stack: Whose broker.
        settings: Of the job.
        partitions: Of the events; the others have one, decisions as many as events.
        configs: Further topic settings.

    Returns:
        Names of those that were made.
    """
    names = settings.topics()
    wanted = dict.fromkeys(names.values(), 1)
    wanted |= dict.fromkeys((names["decisions"], *settings.action_topics), partitions)
    wanted[settings.events_topic] = partitions
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    made = []
    try:
        for name, number in wanted.items():
            topic = NewTopic(name, number, 1, topic_configs={"retention.ms": "-1", **configs})
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue
            made.append(name)
    finally:
        admin.close()
    return made


def submit(
    stack: Stack,
    *,
    savepoint: str | None = None,
    job: str = "decide",
    arguments: Sequence[str] | None = None,
    **given: object,
) -> str:
    """Submit a job with ``bin/flink run`` and give its id.

    Args:
        stack: Where to.
        savepoint: Start from this one.
        job: Module of `jobs`.
        arguments: The job's whole command line, in place of `given` and the stack's addresses.
        given: Settings by name, written as on the command line.

    Raises:
        StackError: It was refused; the message holds what the driver said.
    """
    shipped = stage(stack.settings.run_dir / "shipped")
    restore = ["-s", savepoint] if savepoint else []
    result = stack.flink(
        "run", "-d", *restore, "-py", str(shipped / "jobs" / f"{job}.py"), "-pyfs", str(shipped),
        *(arguments_for(stack, **given) if arguments is None else arguments),
    )  # fmt: skip
    found = _JOB_ID.search(result.stdout)
    if found is None:
        told = [
            line
            for line in (result.stdout + result.stderr).splitlines()
            if not line.startswith(("\tat ", "\t... ", "Caused by: java.lang.RuntimeException"))
        ]
        raise StackError(f"the job {job} was not submitted:\n" + "\n".join(told[-20:]))
    return found[1]


def state(stack: Stack, job_id: str) -> str:
    """Give a job's state as Flink names it, e.g. ``RUNNING``."""
    return str(_get(stack, f"/jobs/{job_id}")["state"])


def await_running(stack: Stack, job_id: str, timeout_s: float = 120.0) -> None:
    """Wait until all subtasks of a job run.

    Raises:
        StackError: Not within the time, or it failed; with what went wrong.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        overview = _get(stack, f"/jobs/{job_id}")
        tasks = {vertex["status"] for vertex in overview["vertices"]}
        if overview["state"] == "RUNNING" and tasks == {"RUNNING"}:
            return
        if overview["state"] in ("FAILED", "CANCELED", "FINISHED"):
            break
        time.sleep(_POLL_S)
    raise StackError(
        f"the job {job_id} is {overview['state']} after {timeout_s:.0f} s: {reason(stack, job_id)}"
    )


def reason(stack: Stack, job_id: str) -> str:
    """Give the first lines of the last failure of a job."""
    entries = _get(stack, f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
    return "\n".join(entries[0]["stacktrace"].splitlines()[:8]) if entries else NO_FAILURE


def cancel(stack: Stack, job_id: str, timeout_s: float = 60.0) -> None:
    """Cancel a job and wait until it has ended."""
    requests.patch(
        f"{stack.flink_rest}/jobs/{job_id}?mode=cancel", timeout=_REST_TIMEOUT_S
    ).raise_for_status()
    _await_end(stack, job_id, timeout_s)


def stop_with_savepoint(stack: Stack, job_id: str, timeout_s: float = 120.0) -> str:
    """Stop a job with a savepoint and give the savepoint's path.

    Raises:
        StackError: Flink could not, or not in time.
    """
    answer = requests.post(
        f"{stack.flink_rest}/jobs/{job_id}/stop", json={"drain": False}, timeout=_REST_TIMEOUT_S
    )
    answer.raise_for_status()
    trigger = answer.json()["request-id"]
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = _get(stack, f"/jobs/{job_id}/savepoints/{trigger}")
        if status["status"]["id"] == "COMPLETED":
            operation = status["operation"]
            if "location" not in operation:
                raise StackError(
                    f"no savepoint: {operation['failure-cause']['stack-trace'][:2000]}"
                )
            _await_end(stack, job_id, timeout_s)
            return str(operation["location"])
        time.sleep(_POLL_S)
    raise StackError(f"no savepoint of {job_id} within {timeout_s:.0f} s")


def running_jobs(stack: Stack) -> dict[str, str]:
    """Give the names of the jobs that have not ended, by id."""
    return {
        job["jid"]: job["name"]
        for job in _get(stack, "/jobs/overview")["jobs"]
        if job["state"] not in ("FAILED", "CANCELED", "FINISHED")
    }


def _await_end(stack: Stack, job_id: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while state(stack, job_id) not in ("CANCELED", "FINISHED", "FAILED"):
        if time.monotonic() > deadline:
            raise StackError(f"the job {job_id} has not ended within {timeout_s:.0f} s")
        time.sleep(_POLL_S)


def _get(stack: Stack, path: str) -> Any:
    answer = requests.get(f"{stack.flink_rest}{path}", timeout=_REST_TIMEOUT_S)
    answer.raise_for_status()
    return answer.json()
