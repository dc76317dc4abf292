"""Starts the loading process and waits for it without waiting: `udfs.runtime.load_process`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Protocol

import msgspec

from udfs.errors import Fault
from udfs.runtime.load_process import LoadResult, LoadTask
from udfs.runtime.shipped import code_root


class Loader(Protocol):
    """Loads one task at a time."""

    def start(self, task: LoadTask) -> None:
        """Begin; what ran before is ended."""

    def poll(self) -> LoadResult | None:
        """Give the result, once; None while it lasts, or if nothing was started."""

    def run(self, task: LoadTask) -> LoadResult:
        """Load, and wait for it."""

    def stop(self) -> None:
        """End what runs."""


class ProcessLoader:
    """One child process a task."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, task: LoadTask) -> None:
        """See `Loader`."""
        self.stop()
        child = subprocess.Popen(
            [sys.executable, "-m", "udfs.runtime.load_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(code_root())},
        )
        assert child.stdin is not None  # asked for above
        self._child = child
        try:
            child.stdin.write(msgspec.json.encode(task) + b"\n")
            child.stdin.flush()  # and left open: its end tells the child that we are gone
        except BrokenPipeError:
            return  # it ended at once; `poll` tells how

    def poll(self) -> LoadResult | None:
        """See `Loader`."""
        child = self._child
        return None if child is None or child.poll() is None else self._result(child)

    def run(self, task: LoadTask) -> LoadResult:
        """See `Loader`."""
        self.start(task)
        assert self._child is not None  # just started
        self._child.wait()
        return self._result(self._child)

    def stop(self) -> None:
        """See `Loader`."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _result(self, child: subprocess.Popen[bytes]) -> LoadResult:
        self._child = None
        out, _ = child.communicate()
        try:
            return msgspec.json.decode(out, type=LoadResult)
        except msgspec.DecodeError:
            problem = f"the loading process ended with code {child.returncode}"
            return LoadResult((Fault("$", problem, "see the worker's log"),))
