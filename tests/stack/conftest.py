"""Small processes in place of servers: they start in milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.supervisor import Part, Supervisor

# Says that it is ready by making a file, then waits to be ended.
SLEEPER = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor of an empty run directory; what it started is ended after the test."""
    supervisor = Supervisor(tmp_path, lambda: dict(os.environ), ready_timeout_s=20)
    yield supervisor
    supervisor.end(supervisor.known())


@pytest.fixture
def sleeper(tmp_path: Path) -> Callable[[str], Part]:
    """Makes parts that become ready and then do nothing."""

    def make(name: str, **ports: int) -> Part:
        mark = tmp_path / f"{name}.ready"
        command = [sys.executable, "-c", SLEEPER, str(mark)]
        return Part(name, lambda: command, ports, mark.exists)

    return make


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()
