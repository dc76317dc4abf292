from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack import processes
from stack.processes import OWNER_VARIABLE, Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def start(tmp_path: Path, command: list[str], owner: str = "here") -> Process:
    """Launch a process of ours."""
    environment = {**os.environ, OWNER_VARIABLE: owner}
    return processes.launch(command, environment, tmp_path / "log", tmp_path / "pid.json")


def test_a_launched_process_is_found_by_its_pid_file(tmp_path: Path) -> None:
    """Another program that reads the file sees the same process."""
    process = start(tmp_path, SLEEP)
    assert processes.read(tmp_path / "pid.json") == process
    assert process.alive()
    processes.terminate([process], "here", grace_s=5)
    assert not process.alive()


def test_a_reused_pid_is_not_ours(stranger: subprocess.Popen[bytes]) -> None:
    """A process with our pid that started at another time is left alone."""
    ours = Process(stranger.pid, "another-boot:12345")
    assert not ours.alive()
    processes.terminate([ours], "here", grace_s=1)
    assert stranger.poll() is None


def test_identity_differs_between_processes_and_is_none_for_the_dead(
    stranger: subprocess.Popen[bytes],
) -> None:
    """It is stable while a process lives and gone with it, zombie or not."""
    first = processes.identity(stranger.pid)
    assert first is not None
    assert first == processes.identity(stranger.pid)
    assert first != processes.identity(os.getpid())
    stranger.kill()
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
    assert processes.identity(stranger.pid) is None


def test_terminate_kills_what_ignores_the_first_signal(tmp_path: Path) -> None:
    """SIGKILL follows SIGTERM."""
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    )
    process = start(tmp_path, [sys.executable, "-c", code, str(ready)])
    while not ready.exists():
        assert process.alive()
    processes.terminate([process], "here", grace_s=0.2)
    assert not process.alive()


def family(tmp_path: Path, owner: str) -> tuple[Process, int]:
    """A process with a child, and the child's pid."""
    child_file = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "part = pathlib.Path(sys.argv[1] + '.part'); part.write_text(str(child.pid)); "
        "part.rename(sys.argv[1]); time.sleep(600)"
    )
    process = start(tmp_path, [sys.executable, "-c", code, str(child_file)], owner)
    while not child_file.exists():
        assert process.alive()
    return process, int(child_file.read_text())


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGKILL], ids=["alive", "killed before"])
def test_children_are_ended_with_their_parent(tmp_path: Path, first: signal.Signals) -> None:
    """No orphan is left, whether the parent still ran or was killed by somebody else."""
    process, child = family(tmp_path, "here")
    identity = processes.identity(child)
    assert identity is not None
    if first is signal.SIGKILL:
        os.kill(process.pid, first)
    processes.terminate([process], "here", grace_s=5)
    assert processes.wait_gone([process, Process(child, identity)], 5)


def test_children_of_another_stack_are_left_alone(tmp_path: Path) -> None:
    """A session number may be another stack's by now: its mark tells."""
    process, child = family(tmp_path, "there")
    processes.kill_orphans(process, "here")
    assert processes.identity(child) is not None
    processes.terminate([process], "there", grace_s=5)


def test_an_unreadable_pid_file_names_no_process(tmp_path: Path) -> None:
    """A file that was cut short is as good as none."""
    (tmp_path / "pid.json").write_text('{"pid": 12')
    assert processes.read(tmp_path / "pid.json") is None
    assert processes.read(tmp_path / "absent.json") is None
