"""The stack of a benchmark: own directory, free ports, one TaskManager of one slot."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.workload import manifest
from configs.publish import Publisher
from configs.watch import MANIFEST
from stack import Stack, StackSettings, flink
from stack.ports import free_ports
from stack.settings import DEFAULT_PORTS, LOCAL

BENCH: Final = LOCAL / "bench"
RUN: Final = BENCH / "run"


@contextlib.contextmanager
def running(say: Callable[[str], None]) -> Iterator[Stack]:
    """Give a fresh stack with the workload's manifest published; stop it at the end.

    Args:
        say: Told what happens.
    """
    # What a benchmark that was killed has left.
    Stack(StackSettings.load(RUN) or StackSettings(run_dir=RUN)).stop()
    shutil.rmtree(RUN, ignore_errors=True)
    ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
    stack = Stack(StackSettings(run_dir=RUN, taskmanagers=1, **ports), say)
    try:
        stack.up()
        Publisher(stack.config_url, "millrace").publish(MANIFEST, manifest())
        yield stack
    finally:
        stack.stop()


def make_room() -> None:
    """Let the stacks of this process have TaskManagers for a hundred operators of CEP.

    Each has network buffers of its own at both ends, and keeps five seconds of events.
    """
    flink.NETWORK_MB = 256
    flink.TASK_HEAP_MB = 2_048


def fresh_taskmanager(stack: Stack) -> int:
    """Replace the TaskManager, so that no job profits from what another one has warmed up.

    Returns:
        Its pid.
    """
    stack.kill_taskmanager(1, signal.SIGTERM)
    return stack.start_taskmanager(1)


def machine() -> dict[str, object]:
    """Give what figures depend on."""
    info = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return {"cores": os.cpu_count(), "model": models[0] if models else "unknown"}


def load() -> tuple[float, float, float]:
    """Give the load averages of 1, 5 and 15 minutes."""
    return os.getloadavg()
