"""Which program a worker runs: shipped, restored, prepared, committed; and what is killed.

Messages in, acknowledgements out. The operator gives it broadcast state as functions, and what
loads tables and models as a `Loader`: READY is said when they are there, and until then the
stream goes on with what it has.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from configs.acks import AckRecord
from configs.manifest import Resolved
from udfs.decisions.killed import NOTHING_KILLED, Killed
from udfs.decisions.program import Program
from udfs.decisions.records import Record
from udfs.errors import ConfigInvalid, Fault, LoadFailed, MillraceError
from udfs.expressions import CodeCache
from udfs.matching import Layout
from udfs.runtime.finishing import at_start
from udfs.runtime.garbage import Keeper
from udfs.runtime.loader import Loader
from udfs.runtime.warehouse import NOTHING, Needs, Warehouse
from udfs.slices import Sliced, Work, finish

MESSAGES: Final = ""
"""Topic of the watcher's lines that are for the workers; all others are records for Kafka."""

COMMITTED: Final = "committed"
LAYOUT: Final = "layout"
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


_SLICE_S: Final = 0.002
"""So long is worked on a revision at a time, beside the batches."""

_REST: Final = 4
"""So many times as long only batches are worked off then."""

_LONG_SLICE_S: Final = 0.02
"""So long may be worked on it with each poll where there are hardly any batches."""

_QUIET_S: Final = 1.0
"""After so long without a batch the next one may wait for a look at the heap."""

_BUSY: Final = 3
"""Batches since the last poll from which on they see to the progress."""


class _Compiling(msgspec.Struct):
    prepare_id: str
    resolved: Resolved
    payload: bytes
    work: Sliced[Program]


class _Prepared(msgspec.Struct):
    prepare_id: str
    program: Program
    digest: str
    payload: bytes
    needs: Needs


class Switching:
    """The program in force at one subtask.

    Args:
        shipped: Manifest that the driver resolved.
        job: Name of the job, on `acks`.
        subtask: Index of this subtask.
        topics: Topics that actions may write.
        acks: Name of the topic for acknowledgements.
        warehouse: Tables and models of this subtask.
        loader: Brings them here.
        clock: Gives seconds.
        keeper: Of cyclic garbage.

    Raises:
        ConfigInvalid: The shipped manifest does not compile.
    """

    def __init__(
        self,
        shipped: Resolved,
        job: str,
        subtask: int,
        topics: set[str],
        acks: str,
        warehouse: Warehouse,
        loader: Loader,
        clock: Callable[[], float] = time.perf_counter,
        keeper: Keeper | None = None,
    ) -> None:
        self._job = job
        self._subtask = subtask
        self._topics = topics
        self._acks = acks
        self._warehouse = warehouse
        self._loader = loader
        self._clock = clock
        self._keeper = keeper or Keeper()
        self._heard_s = clock()
        """When the last batch came."""
        self._compiling: _Compiling | None = None
        self._batches = 0
        """Since the last poll."""
        self._rest_until_s = 0.0
        self._prepared: _Prepared | None = None
        self._loading: _Prepared | None = None
        self._before = NOTHING
        self._sweeping = False
        self.kill = NOTHING_KILLED
        self._shipped = shipped
        self.program = self._compile(shipped)
        self._digest = shipped.digest
        self._needs = Needs.of(shipped)

    def recompile(self, payload: bytes) -> Program:
        """Make a program of a manifest that a shard has kept, without tables and models."""
        return self._compile(Resolved.load(payload))

    def restore(self, get: Callable[[str], bytes | None]) -> None:
        """Take what a checkpoint holds, if it is newer than what the driver shipped, and load it.

        Rules that the shipped manifest replaces may have runs to finish.

        Nothing flows yet: this waits until tables and models are there.

        Args:
            get: Reads broadcast state.

        Raises:
            LoadFailed: They cannot be had; nothing can be decided without them.
        """
        payload = get(COMMITTED)
        if payload is not None:
            resolved = at_start(self._shipped, Resolved.load(payload))
            layout = Layout.load(get(LAYOUT) or b"")
            if resolved.dump() != self.program.payload or layout is not None:
                self.program = self._compile(resolved, layout)
                self._digest = resolved.digest
                self._needs = Needs.of(resolved)
        result = self._loader.run(self._warehouse.task(self._needs, ())) if self._reads() else None
        if result is not None and result.faults:
            raise LoadFailed(
                f"revision {self.program.revision} cannot run: "
                + "; ".join(str(fault) for fault in result.faults)
            )
        self.program.resources = self._warehouse.open(self._needs)
        kill = get(KILLED)
        if kill is not None:
            self.kill = msgspec.json.decode(kill, type=Killed)

    def _reads(self) -> bool:
        """Whether anything is to be loaded, or may have been left behind."""
        return self._needs != NOTHING or self._warehouse.left_over((self._needs,))

    def close(self) -> None:
        """Give everything back."""
        self._loader.stop()
        self._warehouse.keep(())

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
                return self._prepare(message, now_ms)
            case "poll":
                return self._poll(now_ms)
            case "commit":
                self._commit(message, put)
            case "abort":
                self._abort(message.prepare_id)
            case "running":
                put(COMMITTED, self.program.payload)
            case "kill":
                self.kill = Killed(message.all, frozenset(message.flows), frozenset(message.rules))
                put(KILLED, msgspec.json.encode(self.kill))
        return []

    def _prepare(self, message: Message, now_ms: int) -> list[Record]:
        payload = base64.b64decode(message.payload)
        self._drop()
        try:
            resolved = Resolved.load(payload)
            if (resolved.revision, resolved.digest) == (self.program.revision, self._digest):
                # Runs already, as after a restart of the watcher.
                return self._load(message.prepare_id, resolved, payload, self.program, now_ms)
            if resolved.revision <= self.program.revision:
                raise ConfigInvalid([_not_higher(resolved.revision, self.program.revision)])
        except ConfigInvalid as error:
            return [self._ack(message.revision, message.prepare_id, error.faults, now_ms)]
        work = self._compiling_of(resolved, payload, base64.b64decode(message.code or ""))
        self._compiling = _Compiling(
            message.prepare_id, resolved, payload, Sliced(work, self._clock)
        )
        return self._compiled(now_ms)

    def _compiling_of(self, resolved: Resolved, payload: bytes, code: bytes) -> Work[Program]:
        """Compile a manifest, piece by piece, with what the watching process has compiled."""
        cache = (yield from CodeCache.loading(code)) if code else None
        return (
            yield from Program.compiling(
                resolved.revision, resolved.parts(), self._topics, cache, payload, self.program
            )
        )

    def _compiled(self, now_ms: int) -> list[Record]:
        """Go on with compiling, and with what comes then."""
        found = self._compiling
        assert found is not None
        batches, self._batches = self._batches, 0
        if not found.work.go_on(_LONG_SLICE_S if batches < _BUSY else 0):
            return []
        self._compiling = None
        try:
            program = found.work.result()
        except ConfigInvalid as error:
            return [self._ack(found.resolved.revision, found.prepare_id, error.faults, now_ms)]
        return self._load(found.prepare_id, found.resolved, found.payload, program, now_ms)

    def _load(
        self, prepare_id: str, resolved: Resolved, payload: bytes, program: Program, now_ms: int
    ) -> list[Record]:
        """See to it that a program has its tables and models."""
        needs = Needs.of(resolved)
        found = _Prepared(prepare_id, program, resolved.digest, payload, needs)
        missing = self._warehouse.missing(needs)
        if missing == NOTHING:
            return [self._ready(found, now_ms)]
        self._loading = found
        self._loader.start(self._warehouse.task(missing, (self._before, self._needs, needs)))
        return []

    def _poll(self, now_ms: int) -> list[Record]:
        if self._compiling is not None:
            return self._compiled(now_ms)
        result = self._loader.poll()
        found = self._loading
        if result is None or found is None:
            return []
        self._loading = None
        if result.faults:
            return [self._ack(found.program.revision, found.prepare_id, result.faults, now_ms)]
        _log.info("loaded", revision=found.program.revision, took_ms=result.took_ms)
        return [self._ready(found, now_ms)]

    def _ready(self, found: _Prepared, now_ms: int) -> Record:
        faults: Sequence[Fault] = ()
        try:
            found.program.resources = self._warehouse.open(found.needs)
            self._prepared = found
        except MillraceError as error:
            faults = [Fault("$", str(error), "the version before goes on")]
        return self._ack(found.program.revision, found.prepare_id, faults, now_ms)

    def _ack(self, revision: int, prepare_id: str, faults: Sequence[Fault], now_ms: int) -> Record:
        ack = AckRecord(
            revision=revision,
            status="NACK" if faults else "READY",
            prepare_id=prepare_id,
            subtask=self._subtask,
            who="worker",
            reasons=tuple(faults),
            at=now_ms,
            job=self._job,
        )
        return Record(self._acks, self._job.encode(), ack.encode(), {})

    def _abort(self, prepare_id: str) -> None:
        under_way = self._compiling or self._loading or self._prepared
        if under_way is not None and under_way.prepare_id == prepare_id:
            self._drop()

    def _drop(self) -> None:
        """Forget what was prepared, or is being prepared, and what was loaded for it alone."""
        self._compiling = None
        if self._loading is not None or self._prepared is not None:
            self._loading = self._prepared = None
            self._loader.stop()
            self._sweep()

    def _sweep(self) -> None:
        used = (self._before, self._needs)
        self._warehouse.keep(used)
        if self._warehouse.left_over(used):
            self._loader.start(self._warehouse.task(NOTHING, used))
            self._sweeping = True

    def look_after(self) -> None:
        """Go on with what is to be done beside the batches; called with each.

        A revision is compiled a slice at a time, and the end of a process that removes what
        nobody needs is noted.
        """
        self._batches += 1
        now = self._clock()
        self._keeper.look(quiet=now - self._heard_s >= _QUIET_S)
        self._heard_s = now
        if self._compiling is not None:
            began = self._clock()
            if began >= self._rest_until_s:
                self._compiling.work.go_on(_SLICE_S)
                ended = self._clock()
                self._rest_until_s = ended + _REST * (ended - began)
        if self._sweeping and (self._loading is not None or self._loader.poll() is not None):
            self._sweeping = False

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
        if prepared.program is not self.program:
            self._keeper.replaced()
            self._before, self._needs = self._needs, prepared.needs
        self.program = prepared.program
        self._digest = prepared.digest
        put(COMMITTED, prepared.payload)
        layout = self.program.machine.layout
        put(LAYOUT, b"" if layout is None else layout.dump())
        self._sweep()

    def _compile(self, resolved: Resolved, layout: Layout | None = None) -> Program:
        return finish(
            Program.compiling(
                resolved.revision, resolved.parts(), self._topics, None, resolved.dump(),
                layout=layout,
            )
        )  # fmt: skip


def _not_higher(revision: int, runs: int) -> Fault:
    return Fault(
        "revision", f"revision {revision}, while this worker runs {runs}",
        f"publish it as revision {runs + 1} or higher",
    )  # fmt: skip
