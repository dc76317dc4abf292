"""The watcher's operator: starts the watching process, passes on its lines, keeps its state.

Long polls, validation and compilation happen in a child process, so that they never hold the
GIL of the worker. The operator is called by ticks and only reads a pipe that never blocks.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import structlog
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction
from pyflink.datastream.state import ValueStateDescriptor

import udfs.runtime.decide  # noqa: F401 - see shipped.py
from udfs.runtime.logs import write_logs
from udfs.runtime.shipped import code_root, refuse_stale_code
from udfs.runtime.switching import MESSAGES
from udfs.runtime.watch_process import WatchTask

TICKS_PER_SECOND: Final = 10
"""A message waits for the next tick; an empty tick costs some ten microseconds."""

WATCH_TYPE: Final = Types.ROW_NAMED(["topic", "line"], [Types.STRING(), Types.STRING()])

_READ_BYTES: Final = 1 << 20
"""Of the pipe, and of a read: a thousand rules are half of that."""

_MOST_READS: Final = 16
"""In one tick; the rest comes with the next."""
_RESTART_S: Final = 5.0
_STOP_S: Final = 3.0

_RUNNING: Final = '{"type":"running"}'
"""Lets workers keep what they run in their state: with it, a manifest that was shipped and never
pushed is known after a restart. Sent with the first state of the watcher, so that a checkpoint
has both or neither."""

_POLL: Final = '{"type":"poll"}'
"""Asks workers that load in the background whether they are ready: they cannot speak unasked."""

_STATE: Final = ValueStateDescriptor("rollout", Types.PICKLED_BYTE_ARRAY())

_log = structlog.get_logger("millrace.watch")


class _Line(msgspec.Struct):
    type: str
    rollout: str = ""
    topic: str = ""
    value: msgspec.Raw = msgspec.Raw(b"")


class WatchFunction(KeyedProcessFunction):
    """Gives Row(topic, line): messages for the workers, records for Kafka.

    Args:
        settings: The job's settings as JSON.
        manifest: What the job was started with.
        parallelism: Of the decide operator.
        acks: Topic of acknowledgements.
        shipped: Digest of the driver's code.
    """

    def __init__(
        self, settings: str, manifest: bytes, parallelism: int, acks: str, shipped: str
    ) -> None:
        self._task = WatchTask(settings, manifest, parallelism, shipped)
        self._acks = acks
        self._shipped = shipped
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._not_before_s = 0.0
        self._preparing = False
        self._told_running = False

    def open(self, runtime_context: Any) -> None:
        """Get ready; the process starts with the first tick, when state can be read."""
        refuse_stale_code(self._shipped)
        write_logs()
        self._state = runtime_context.get_state(_STATE)

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def process_element(self, value: Any, ctx: Any) -> Iterator[Row]:
        """Pass on what the process has said since the last tick."""
        del value, ctx
        for raw in self._lines():
            line = msgspec.json.decode(raw, type=_Line)
            if line.type == "state":
                self._state.update(base64.b64decode(line.rollout))
                if not self._told_running:
                    self._told_running = True
                    yield Row(MESSAGES, _RUNNING)
            elif line.type == "record":
                yield Row(self._acks, bytes(line.value).decode())
            elif line.type in ("prepare", "commit", "abort", "kill"):
                if line.type != "kill":
                    self._preparing = line.type == "prepare"
                yield Row(MESSAGES, raw.decode())
        if self._preparing:
            yield Row(MESSAGES, _POLL)

    def _lines(self) -> list[bytes]:
        """Give whole lines, without waiting for any."""
        child = self._child
        if child is None or child.stdout is None:
            self._start()
            return []
        ended = False
        chunks: list[bytes] = []
        while len(chunks) < _MOST_READS and not ended:
            try:
                chunks.append(os.read(child.stdout.fileno(), _READ_BYTES))
            except BlockingIOError:
                break
            ended = not chunks[-1]
        *lines, self._rest = b"".join([self._rest, *chunks]).split(b"\n")
        if ended:
            # It ended. What it had sent whole is passed on; the next one goes on from state.
            _log.error("the watcher ended; it is started again", code=child.wait())
            self._child = None
            self._rest = b""
            self._not_before_s = time.monotonic() + _RESTART_S
        return lines

    def _start(self) -> None:
        if time.monotonic() < self._not_before_s:
            return
        environment = {**os.environ, "PYTHONPATH": str(code_root())}
        child = subprocess.Popen(
            [sys.executable, "-m", "udfs.runtime.watch_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the watcher was started without pipes")
        task = msgspec.structs.replace(self._task, state=self._state.value())
        try:
            child.stdin.write(msgspec.json.encode(task) + b"\n")
            child.stdin.flush()  # and left open: its end tells the child that we are gone
        except BrokenPipeError:
            _log.error("the watcher ended at its start; see the lines above", code=child.wait())
            self._not_before_s = time.monotonic() + _RESTART_S
            return
        os.set_blocking(child.stdout.fileno(), False)
        _widen(child.stdout.fileno())
        self._child = child


def _widen(pipe: int) -> None:
    """Let a pipe hold as much as a read takes: a tick reads what is there, and no more comes."""
    with contextlib.suppress(OSError, AttributeError):  # it is slower then, and works
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _READ_BYTES)
