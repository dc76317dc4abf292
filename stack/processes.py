"""Processes that outlive the command that started them, and are found again by pid and start time.

A pid alone does not name a process: numbers are reused. Next to it we keep the boot's id and the
process's start time in clock ticks, as Linux reports them under ``/proc``; only a process that
agrees in all three is ours. Every process leads a session of its own, so that what it started
in turn (Flink's Python workers) is found and ended with it, and Ctrl-C at the terminal is not
passed on to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Set in every process we start and inherited by its children.
OWNER_VARIABLE = "MILLRACE_STACK_DIR"
POLL_S = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that we started.

    Args:
        pid: Its number, which is also its session's.
        started: Boot id and start time, see :func:`identity`.
    """

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether it still runs: same pid and same start."""
        return identity(self.pid) == self.started


def identity(pid: int) -> str | None:
    """What tells a process from all others that ever had its pid; None if none runs."""
    # One of our own children stays a zombie until we ask for its exit code.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    fields = _stat(pid)
    if fields is None or fields[0] in {"Z", "X"}:
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[19]}"


def launch(
    command: Sequence[str], environment: Mapping[str, str], log: Path, pid_file: Path
) -> Process:
    """Start a process in a session of its own; its output is appended to the log.

    Raises:
        OSError: The program cannot be started.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the command is made of our own settings
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=log.parent,
            start_new_session=True,
        )
    # Popen would warn that its child still runs when it is collected; identity() reaps.
    child.returncode = 0
    process = Process(child.pid, identity(child.pid) or "exited at once")
    scratch = pid_file.with_suffix(".tmp")
    scratch.write_text(json.dumps({"pid": process.pid, "started": process.started}))
    scratch.replace(pid_file)
    return process


def read(pid_file: Path) -> Process | None:
    """The process a pid file names, running or not; None if there is no readable file."""
    try:
        record = json.loads(pid_file.read_text())
        return Process(int(record["pid"]), str(record["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def terminate(processes: Iterable[Process], owner: str, grace_s: float) -> None:
    """End processes and what they started: SIGTERM, and SIGKILL for what still runs after a while.

    Args:
        processes: What to end. One that no longer runs, or whose pid is another's by now, is
            left alone; its orphans are still ended.
        owner: Value of :data:`OWNER_VARIABLE` that the orphans must carry.
        grace_s: How long to wait between the two signals.
    """
    processes = list(processes)
    for process in processes:
        if process.alive():
            _signal(process.pid, signal.SIGTERM)
    if not wait_gone(processes, grace_s):
        for process in processes:
            if process.alive():
                _signal(process.pid, signal.SIGKILL)
        wait_gone(processes, grace_s)
    for process in processes:
        kill_orphans(process, owner)


def wait_gone(processes: Iterable[Process], timeout_s: float) -> bool:
    """Wait until none of them runs; False if the time is over before."""
    processes = list(processes)
    end = time.monotonic() + timeout_s
    while any(process.alive() for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def kill_orphans(process: Process, owner: str) -> None:
    """End what a process that is gone has left behind in its session."""
    for pid in session_members(process.pid):
        if pid != process.pid and _environment(pid).get(OWNER_VARIABLE) == owner:
            _signal(pid, signal.SIGKILL)


def session_members(session: int) -> list[int]:
    """Pids of the running processes of a session."""
    members = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and fields[0] not in {"Z", "X"} and int(fields[3]) == session:
                members.append(int(entry.name))
    return members


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the name: state, ppid, pgrp, session ...."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name stands in brackets and may hold spaces and brackets itself.
    return text[text.rindex(")") + 2 :].split()


def _environment(pid: int) -> dict[str, str]:
    try:
        text = (_PROC / str(pid) / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
