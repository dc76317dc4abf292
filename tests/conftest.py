"""What all tests share: their order, and one local stack for those that need servers."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from stack import Stack, StackSettings
from stack.ports import free_ports
from stack.settings import DEFAULT_PORTS, LOCAL

# No test asserts a time: a busy machine is no fault of the code.
hypothesis.settings.register_profile("millrace", deadline=None)
hypothesis.settings.load_profile("millrace")

TEST_RUN = LOCAL / "test-run"
TASKMANAGERS = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed of tests that draw their cases; without it some draw new ones each time."""
    parser.addoption("--seed", type=int, default=None, help="seed of random cases")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests first, then those with a JVM, then those with servers: a fault shows early."""
    items.sort(key=_rank)  # stable: the order within a kind stays


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("e2e"):
        return 2
    return 1 if item.get_closest_marker("flink") else 0


def settings_with_free_ports(run_dir: Path, taskmanagers: int = 1) -> StackSettings:
    """Settings of a stack that disturbs no other on this machine."""
    ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
    return StackSettings(run_dir=run_dir, taskmanagers=taskmanagers, **ports)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running stack with two TaskManagers, for all end-to-end tests of this session.

    A test that takes a part of it away brings it back, also when it fails.
    """
    with _own_directory() as run_dir:
        # A session that was killed has left its processes behind.
        Stack(StackSettings.load(run_dir) or StackSettings(run_dir=run_dir)).stop()
        shutil.rmtree(run_dir, ignore_errors=True)
        running = Stack(settings_with_free_ports(run_dir, TASKMANAGERS))
        try:
            running.up()
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def _own_directory() -> Iterator[Path]:
    """The first directory under ``.local/test-run`` that no other test session uses."""
    TEST_RUN.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        with (TEST_RUN / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield TEST_RUN / str(number)
            return
