"""Which program a worker runs: shipped, restored, prepared, committed; and what is killed.

Pure: messages in, acknowledgements out. The operator gives it broadcast state as functions.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from configs.acks import AckRecord
from configs.manifest import Resolved
from udfs.decisions.killed import NOTHING_KILLED, Killed
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.errors import ConfigInvalid, Fault
from udfs.expressions import CodeCache

COMMITTED: Final = "committed"
KILLED: Final = "killed"

_log = structlog.get_logger("millrace.switching")


class Message(msgspec.Struct):
    """A line of the watcher. Which fields are there depends on `type`."""

    type: str
    revision: int = 0
    prepare_id: str = ""
    payload: str = ""
    code: str = ""
    flows: list[str] = []
    rules: list[str] = []
    all: bool = False


class _Prepared(msgspec.Struct):
    prepare_id: str
    program: Program
    digest: str
    payload: bytes


class Switching:
    """The program in force at one subtask.

    Args:
        shipped: Manifest that the driver resolved.
        job: Name of the job, on `acks`.
        subtask: Index of this subtask.
        topics: Topics that actions may write.
        acks: Name of the topic for acknowledgements.

    Raises:
        ConfigInvalid: The shipped manifest does not compile.
    """

    def __init__(
        self, shipped: Resolved, job: str, subtask: int, topics: set[str], acks: str
    ) -> None:
        self._job = job
        self._subtask = subtask
        self._topics = topics
        self._acks = acks
        self._prepared: _Prepared | None = None
        self.kill = NOTHING_KILLED
        self.program = self._compile(shipped, None)
        self._digest = shipped.digest

    def recompile(self, payload: bytes) -> Program:
        """Make a program of a manifest that a shard has kept."""
        return self._compile(Resolved.load(payload), None)

    def restore(self, get: Callable[[str], bytes | None]) -> None:
        """Take what a checkpoint holds; it is newer than what the driver shipped.

        Args:
            get: Reads broadcast state.
        """
        payload = get(COMMITTED)
        if payload is not None:
            resolved = Resolved.load(payload)
            if resolved.revision > self.program.revision:
                self.program = self._compile(resolved, None)
                self._digest = resolved.digest
        kill = get(KILLED)
        if kill is not None:
            self.kill = msgspec.json.decode(kill, type=Killed)

    def take(self, line: str, put: Callable[[str, bytes], None], now_ms: int) -> list[Record]:
        """Take one message.

        Args:
            line: JSON.
            put: Writes broadcast state.
            now_ms: Wall clock.

        Returns:
            Records for `acks`.
        """
        message = msgspec.json.decode(line, type=Message)
        match message.type:
            case "prepare":
                return [self._prepare(message, now_ms)]
            case "commit":
                self._commit(message, put)
            case "abort":
                if self._prepared is not None and self._prepared.prepare_id == message.prepare_id:
                    self._prepared = None
            case "kill":
                self.kill = Killed(message.all, frozenset(message.flows), frozenset(message.rules))
                put(KILLED, msgspec.json.encode(self.kill))
        return []

    def _prepare(self, message: Message, now_ms: int) -> Record:
        payload = base64.b64decode(message.payload)
        faults: tuple[Fault, ...] = ()
        self._prepared = None
        try:
            resolved = Resolved.load(payload)
            if (resolved.revision, resolved.digest) == (self.program.revision, self._digest):
                program = self.program  # runs already, as after a restart of the watcher
            elif resolved.revision <= self.program.revision:
                raise ConfigInvalid([_not_higher(resolved.revision, self.program.revision)])
            else:
                cache = CodeCache.load(base64.b64decode(message.code)) if message.code else None
                program = self._compile(resolved, cache)
            self._prepared = _Prepared(message.prepare_id, program, resolved.digest, payload)
        except ConfigInvalid as error:
            faults = tuple(error.faults)
        ack = AckRecord(
            revision=message.revision,
            status="NACK" if faults else "READY",
            prepare_id=message.prepare_id,
            subtask=self._subtask,
            who="worker",
            reasons=faults,
            at=now_ms,
            job=self._job,
        )
        return Record(self._acks, self._job.encode(), ack.encode(), {})

    def _commit(self, message: Message, put: Callable[[str, bytes], None]) -> None:
        prepared = self._prepared
        self._prepared = None
        if prepared is None or prepared.prepare_id != message.prepare_id:
            if message.revision != self.program.revision:
                _log.error(
                    "commit of a revision that was not prepared here",
                    revision=message.revision, runs=self.program.revision, subtask=self._subtask,
                )  # fmt: skip
            return
        self.program = prepared.program
        self._digest = prepared.digest
        put(COMMITTED, prepared.payload)

    def _compile(self, resolved: Resolved, cache: CodeCache | None) -> Program:
        parts = {
            "rules": resolved.rules,
            "aggregates": resolved.aggregates,
            "flows": resolved.flows,
        }
        return Program.compile(resolved.revision, parts, self._topics, cache, resolved.dump())


def _not_higher(revision: int, runs: int) -> Fault:
    return Fault(
        "revision", f"revision {revision}, while this worker runs {runs}",
        f"publish it as revision {runs + 1} or higher",
    )  # fmt: skip
