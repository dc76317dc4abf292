"""The demo itself, short and slow, on a stack of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import Stack, StackSettings
from stack.settings import ROOT
from tests.conftest import settings_with_free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that give the demo a stack of its own; whatever it leaves is stopped."""
    settings = settings_with_free_ports(tmp_path / "run")
    ports = {f"MILLRACE_{name.upper()}": str(port) for name, port in settings.ports().items()}
    yield {**os.environ, **ports, "MILLRACE_DIR": str(settings.run_dir)}
    Stack(settings).stop()


def demo(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    """Start the demo."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--rate", "300", *words],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def running(environment: dict[str, str]) -> list[str]:
    """What runs of the demo's stack."""
    return Stack(StackSettings(run_dir=Path(environment["MILLRACE_DIR"]))).running()


def test_the_demo_ends_well_and_leaves_nothing(environment: dict[str, str]) -> None:
    """Three pushes committed and decided under, counts that agree, exit code 0, no process."""
    process = demo(environment, "--seconds", "12")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "all counts agree" in output
    assert output.count("1 READY of 1, COMMITTED") == 2 * 3  # at once and in the summary
    assert "item@1 user@2 ctr_small@2: 0." in output
    assert "failed reads: 0" in output
    assert running(environment) == []


def test_an_interrupted_demo_leaves_nothing(environment: dict[str, str]) -> None:
    """Ctrl-C while events flow."""
    process = demo(environment, "--seconds", "300")
    assert process.stdout is not None
    for line in process.stdout:
        if "sending about" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert running(environment) == []
