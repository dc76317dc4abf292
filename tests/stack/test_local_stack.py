from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from stack import Stack, StackSettings, flink
from stack.shipping import stage

pytestmark = pytest.mark.e2e

PROBE = Path(__file__).with_name("probe_job.py")


def pids(stack: Stack) -> dict[str, int | None]:
    """Pids of all parts."""
    return {line.name: line.pid for line in stack.status()}


def test_all_parts_run(stack: Stack) -> None:
    """Two TaskManagers of one slot each, and everything answers."""
    assert {line.name: line.state for line in stack.status()} == {
        "kafka": "running",
        "jobmanager": "running",
        "taskmanager-1": "running",
        "taskmanager-2": "running",
        "config-server": "running",
    }
    overview = requests.get(f"{stack.flink_rest}/overview", timeout=5).json()
    assert overview["slots-total"] >= 2


def test_a_second_up_joins(stack: Stack) -> None:
    """No part changes its pid, also when another object asks."""
    before = pids(stack)
    assert Stack(StackSettings.load(stack.settings.run_dir)).up() == []
    assert pids(stack) == before


def test_a_part_that_is_missing_is_started_again(stack: Stack) -> None:
    """The config server was stopped; the others keep running."""
    before = pids(stack)
    stack.stop_config_server()
    assert pids(stack)["config-server"] is None
    assert stack.up() == ["config-server"]
    after = pids(stack)
    assert after["config-server"] not in {None, before["config-server"]}
    assert {**after, "config-server": 0} == {**before, "config-server": 0}


def test_a_large_message_goes_through_kafka(stack: Stack) -> None:
    """A 10 MB event must come in, or it could never become a dead letter."""
    topic = "stack-large"
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1)])
    value = b"x" * (10 * 1024 * 1024)
    producer = KafkaProducer(
        bootstrap_servers=stack.kafka_bootstrap, max_request_size=11 * 1024 * 1024
    )
    producer.send(topic, value).get(30)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=stack.kafka_bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=12 * 1024 * 1024,
        fetch_max_bytes=12 * 1024 * 1024,
        consumer_timeout_ms=30_000,
    )
    assert next(consumer).value == value
    consumer.close()
    admin.delete_topics([topic])
    admin.close()


@pytest.mark.parametrize("modes", [("thread", "thread", "process")], ids=["three in a row"])
def test_python_jobs_run_in_the_cluster(
    stack: Stack, tmp_path: Path, modes: tuple[str, ...]
) -> None:
    """Keyed state in both modes; a second thread-mode job in the same TaskManager works, too."""
    folder = stage(tmp_path / "ship")
    for index in stack.taskmanager_pids():  # those of other tests keep the modules they imported
        stack.kill_taskmanager(index)
        stack.start_taskmanager(index)
    offsets = {index: _size(stack, index) for index in stack.taskmanager_pids()}
    for mode in modes:
        done = stack.flink("run", "-p", "1", "-py", str(PROBE), "-pyfs", str(folder), mode)
        assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for index, offset in offsets.items() for line in _probes(stack, index, offset)]
    assert len(lines) == 2 * len(modes)
    workers = set(stack.taskmanager_pids().values())
    for line in lines:
        pid, prefix, module = line
        assert prefix == sys.prefix
        assert str(stack.settings.run_dir) in module  # shipped, not the repository's
        assert isinstance(pid, int)
    assert sum(pid in workers for pid, _, _ in lines) == 2 * modes.count("thread")


def test_a_killed_taskmanager_is_replaced(stack: Stack) -> None:
    """The new one is known to the JobManager when start_taskmanager returns."""
    before = stack.taskmanager_pids()
    assert stack.kill_taskmanager(2) == before[2]
    assert sorted(stack.taskmanager_pids()) == [1]
    after = stack.start_taskmanager(2)
    assert after != before[2]
    assert stack.taskmanager_pids() == {1: before[1], 2: after}
    known = flink.registered_taskmanagers(stack.settings)
    assert any(name.startswith("taskmanager-2-") for name in known)


def test_stop_and_up_of_one_stack_leave_another_alone(
    stack: Stack, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    """Another run directory is another stack; a stranger's process is nobody's."""
    before = pids(stack)
    other = Stack(StackSettings(run_dir=tmp_path))
    assert other.stop() == []
    assert pids(stack) == before
    assert stranger.poll() is None


def _size(stack: Stack, index: int) -> int:
    return stack.log(f"taskmanager-{index}").stat().st_size


def _probes(stack: Stack, index: int, offset: int) -> list[tuple[int, str, str]]:
    text = stack.log(f"taskmanager-{index}").read_bytes()[offset:].decode()
    found = re.findall(r"^(?:\d+> )?PROBE \S+ (\d+) (\S+) (\S+)$", text, re.MULTILINE)
    return [(int(pid), prefix, module) for pid, prefix, module in found]
