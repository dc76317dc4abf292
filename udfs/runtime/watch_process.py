"""The watching process beside the operator of `udfs.runtime.watch`: ``python -m`` this module.

Reads one line from standard input (`WatchTask`), then writes lines (`configs.lines`) until its
standard input ends. It never imports pyflink.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid

import msgspec

from configs import objects
from configs.apollo_settings import ClientSettings
from configs.client import ApolloClient
from configs.kafka_acks import KafkaAcks
from configs.lines import Lines
from configs.manifest import Fetch, Resolved
from configs.rollout import Rollout
from configs.settings import DecideSettings
from configs.watch import Validated, Watcher
from configs.watch_process import first_rollout, run, stderr_log
from udfs.decisions.program import Program
from udfs.errors import ConfigInvalid, Fault, MillraceError
from udfs.expressions import CodeCache
from udfs.runtime.finishing import at_start, grace_ms, succeed
from udfs.runtime.garbage import look_seldom
from udfs.runtime.pointers import complete
from udfs.runtime.priority import give_way
from udfs.runtime.shipped import refuse_stale_code


class WatchTask(msgspec.Struct, frozen=True):
    """What the child process is told, one JSON line.

    Args:
        settings: The job's settings as JSON.
        manifest: `Resolved.dump()` of what the job was started with.
        parallelism: Subtasks that answer.
        shipped: Digest of the driver's code; the child refuses to run any other.
        state: The roll-out of an earlier life, if any.
    """

    settings: str
    manifest: bytes
    parallelism: int
    shipped: str
    state: bytes | None = None


def validate(resolved: Resolved, fetch: Fetch, topics: set[str]) -> Validated:
    """Complete a manifest's pointers and compile it.

    Args:
        resolved: The manifest.
        fetch: Reads what pointers point to.
        topics: Topics that actions may write.

    Returns:
        Its faults; or the compiled expressions to ship with it, and the completed manifest.
    """
    if resolved.activate_at is not None:
        fault = Fault("activate_at", "is not supported by this version", "leave it out or null")
        return Validated([fault], b"", resolved)
    cache = CodeCache()
    try:
        completed = complete(resolved, fetch)
        Program.compile(completed.revision, completed.parts(), topics, cache)
    except ConfigInvalid as error:
        return Validated(error.faults, b"", resolved)
    return Validated((), cache.dump(), completed)


def rollout_at_start(task: WatchTask, settings: DecideSettings, incarnation: str) -> Rollout:
    """Give where the watcher begins: what the workers run is committed.

    Args:
        task: What the process was told.
        settings: The same, unpacked.
        incarnation: Of this start.
    """
    shipped = Resolved.load(task.manifest)
    given = incarnation, task.parallelism, settings.prepare_timeout
    rollout = first_rollout(*given, task.state, shipped)
    if rollout.committed is None:
        return first_rollout(*given, None, shipped)
    committed = Resolved.load(rollout.committed.payload)
    runs = at_start(shipped, committed)
    # Started from a savepoint with a newer manifest the workers run what was shipped.
    return rollout if runs is committed else first_rollout(*given, None, runs)


def main() -> None:
    """Watch until standard input ends."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=WatchTask)
    refuse_stale_code(task.shipped)
    look_seldom()
    settings = DecideSettings.unpack(task.settings)
    topics = {"decisions", *settings.action_topics}
    incarnation = uuid.uuid4().hex[:12]
    rollout = rollout_at_start(task, settings, incarnation)
    lines = Lines(sys.stdout.buffer, settings.job_name)
    lines.state(rollout)
    grace = grace_ms(settings)
    watcher = Watcher(
        rollout,
        fetch=objects.get,
        validate=lambda resolved, fetch: validate(resolved, fetch, topics),
        acks=KafkaAcks(settings.bootstrap_servers, settings.acks_topic, settings.job_name),
        succeed=lambda new, in_force, now_ms: succeed(new, in_force, now_ms, grace),
        lines=lines,
        now_ms=lambda: time.time_ns() // 1_000_000,
        incarnation=incarnation,
        log=stderr_log(),
    )
    client = ApolloClient(
        ClientSettings.from_environment(
            os.environ,
            app_id=settings.config_app,
            cluster=settings.config_cluster,
            meta=(settings.config_url,),
        )
    )
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        stop.set()
        # The long poll may hold for a minute; nothing of ours is lost by not waiting for it.
        time.sleep(1)
        os._exit(0)

    threading.Thread(target=wait_for_end, daemon=True).start()
    run(watcher, client, stop)


if __name__ == "__main__":
    give_way()
    try:
        main()
    except MillraceError as error:
        sys.exit(f"millrace: the watcher ends: {error}")
