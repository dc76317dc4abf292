"""The watcher: follows the config server, refuses what is wrong, and rolls out what is right.

It runs in a process of its own beside the job's operator (:mod:`configs.watch_process`) and
speaks in lines (:mod:`configs.lines`). :meth:`Watcher.turn` is the whole of it; it blocks only
while it reads blobs, validates, and waits a moment for answers of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from configs import manifest
from configs.answers import Answers
from configs.client import Failed, Idle, Loaded
from configs.kill import Kill, parse_kill
from configs.rollout import (
    Candidate,
    Input,
    Note,
    Offered,
    Refused,
    Rollout,
    Tick,
    resume,
    step,
)
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault

if TYPE_CHECKING:
    from configs.answers import AckSource
    from configs.lines import Lines
    from configs.manifest import Fetch, Ref, Resolved

MANIFEST: Final = "millrace.json"
KILL: Final = "millrace.kill.json"

BLOB_RETRIES_MS: Final = (200, 500, 1_000)  # a blob may become visible after the manifest

News = Loaded | Failed | Idle


class Validated(msgspec.Struct, frozen=True):
    """What a validation found.

    Args:
        faults: All of them; if there are any, the rest is not used.
        code: Compiled code to ship with the manifest.
        resolved: What workers get: the manifest that was examined, or a copy of the same revision
            and digest whose pointers are completed with what their blobs say.
    """

    faults: Sequence[Fault]
    code: bytes
    resolved: Resolved


Succeed = Callable[["Resolved", "Resolved", int], "Resolved"]
"""Gives a manifest with what it has to finish of the one in force, at a wall-clock time, ms."""

Validate = Callable[["Resolved", "Fetch"], Validated]
"""Compiles a manifest. It reads blobs by the given function only, and makes one fault of each
absent one; if it finds no other faults it is called again a moment later."""


class _Pending:
    """A text that is not refused yet."""

    def __init__(self, text: str, fingerprint: str, due_ms: int) -> None:
        self.text = text
        self.fingerprint = fingerprint
        self.due_ms = due_ms
        self.tries = 0


class _Examined(msgspec.Struct, frozen=True):
    """A valid text, and the manifest that was in force when it was examined."""

    candidate: Candidate
    pending: _Pending
    replaces: Candidate | None


class Watcher:
    """Follows two namespaces for one job.

    Args:
        rollout: Where to start, see ``watch_process.first_rollout``.
        fetch: Reads blobs.
        validate: Compiles a manifest, see :data:`Validate`.
        succeed: Adds what must be finished, see :data:`Succeed`.
        acks: Workers' answers.
        lines: Where to tell.
        now_ms: Wall-clock time.
        incarnation: Differs from that of every earlier start.
        log: For people; must not write to where ``lines`` goes.
    """

    def __init__(
        self,
        rollout: Rollout,
        *,
        fetch: Fetch,
        validate: Validate,
        succeed: Succeed = lambda new, _in_force, _now_ms: new,
        acks: AckSource,
        lines: Lines,
        now_ms: Callable[[], int],
        incarnation: str,
        log: Any,
    ) -> None:
        self.rollout = rollout
        self._fetch = fetch
        self._validate = validate
        self._succeed = succeed
        self._answers = Answers(acks, now_ms, log)
        self._lines = lines
        self._now_ms = now_ms
        self._incarnation = incarnation
        self.log = log
        self._resumed = False
        self._pending: _Pending | None = None
        self._candidate: _Examined | None = None
        self._refused: str | None = None  # fingerprint of the content refused last
        self._refused_kill: str | None = None
        self._kill: Kill | None = None
        self._problem: str | None = None

    def turn(self, news: Sequence[News]) -> None:
        """Take news, if any, then answers and time.

        Args:
            news: What the client gave since the last turn.
        """
        # The kill switch comes first, whatever else there is.
        for item in sorted(news, key=lambda one: not _is_kill(one)):
            self._hear(item)
        if not self._resumed:
            self._resume()
        if self._pending and self._now_ms() >= self._pending.due_ms:
            self._examine(self._pending)
        if self._candidate and self._resumed and self._answers.start():
            examined, self._candidate = self._candidate, None
            if examined.replaces is self.rollout.committed:
                self._step(Offered(examined.candidate))
            elif self._pending is None:
                # Another one was committed meanwhile: what is to be finished differs.
                self._pending = examined.pending
        if self.rollout.preparing:
            for ack in self._answers.take():
                self._step(ack)
        self._step(Tick())

    @property
    def listening(self) -> bool:
        """A turn waits for answers by itself; the caller need not pause."""
        return self.rollout.preparing is not None and not self._answers.deaf

    def close(self) -> None:
        """Give up the connections for answers."""
        self._answers.close()

    def _hear(self, item: News) -> None:
        match item:
            case Failed(problem, waited_s):
                self.log.warning("config server unavailable", problem=problem, waited_s=waited_s)
                if self._problem is None:
                    self._lines.status("unavailable", problem=problem)
                self._problem = problem
                return
            case Loaded():
                hear = self._hear_kill if _is_kill(item) else self._hear_manifest
                hear(item)
        if self._problem is not None:
            self._problem = None
            self.log.info("config server answers again")
            self._lines.status("connected")

    def _hear_kill(self, loaded: Loaded) -> None:
        if loaded.status == "absent":
            return  # what is stopped stays stopped
        try:
            kill = parse_kill(_text(loaded))
        except ConfigInvalid as error:
            if loaded.text is not None and loaded.text == self._refused_kill:
                return
            self._refused_kill = loaded.text
            faults = tuple(
                Fault(f"{KILL} {fault.where}", fault.problem, fault.cure) for fault in error.faults
            )
            self.log.warning("kill switch refused", faults=[str(fault) for fault in faults])
            self._lines.output(Note("NACK", None, reasons=faults), self._now_ms())
            return
        self._refused_kill = None
        if kill != self._kill:
            self._kill = kill
            self.log.info(
                "kill switch", flows=sorted(kill.flows), rules=sorted(kill.rules), all=kill.all
            )
            self._lines.kill(kill, loaded.release_key)

    def _hear_manifest(self, loaded: Loaded) -> None:
        if loaded.status == "absent":
            self.log.info("no manifest is published; the last one stays", namespace=MANIFEST)
            return
        try:
            text = _text(loaded)
        except ConfigInvalid as error:
            self._refuse(None, error.faults)
            return
        fingerprint = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        # A newer content takes the place of one that still waits for its blobs.
        new = fingerprint != self._refused
        self._pending = _Pending(text, fingerprint, self._now_ms()) if new else None

    def _examine(self, pending: _Pending) -> None:
        absent = 0

        def fetch(ref: Ref) -> bytes:
            nonlocal absent
            try:
                return self._fetch(ref)
            except ConfigUnavailable:
                absent += 1
                raise

        try:
            resolved = manifest.resolve(pending.text, fetch)
            candidate = self._validated(resolved, fetch)
        except ConfigInvalid as error:
            # A blob that was asked for twice counts twice: at worst a refusal comes later.
            only_absent = absent >= len(error.faults)
            if only_absent and pending.tries < len(BLOB_RETRIES_MS):
                pending.due_ms = self._now_ms() + BLOB_RETRIES_MS[pending.tries]
                pending.tries += 1
                return
            # An absent blob may be there when the same text is published again.
            self._refused = None if absent else pending.fingerprint
            self._refuse(manifest.revision_of(pending.text), error.faults)
        else:
            self._refused = None
            self._candidate = (
                _Examined(candidate, pending, self.rollout.committed) if candidate else None
            )
        self._pending = None

    def _validated(self, resolved: Resolved, fetch: Fetch) -> Candidate | None:
        committed = None if self.rollout.preparing else self.rollout.committed
        if committed and (committed.revision, committed.digest) == (
            resolved.revision,
            resolved.digest,
        ):
            return None  # runs already, e.g. after a restart
        try:
            if self.rollout.committed:
                in_force = manifest.Resolved.load(self.rollout.committed.payload)
                resolved = self._succeed(resolved, in_force, self._now_ms())
            validated = self._validate(resolved, fetch)
            _same(resolved, validated.resolved)
        except ConfigInvalid:
            raise
        except ConfigUnavailable as error:
            cure = "put the blob there before the manifest is published"
            raise ConfigInvalid([Fault("$", f"absent blob: {error}", cure)]) from error
        except Exception as error:
            self.log.exception("validation failed", revision=resolved.revision)
            problem = f"validation failed: {type(error).__name__}: {error}"
            cure = "report it; the last manifest stays"
            raise ConfigInvalid([Fault("$", problem, cure)]) from error
        if validated.faults:
            raise ConfigInvalid(validated.faults)
        payload = validated.resolved.dump()
        return Candidate(resolved.revision, resolved.digest, payload, validated.code)

    def _refuse(self, revision: int | None, faults: Sequence[Fault]) -> None:
        self.log.warning(
            "manifest refused", revision=revision, faults=[str(fault) for fault in faults]
        )
        self._step(Refused(revision, tuple(faults)))

    def _resume(self) -> None:
        if self.rollout.incarnation == self._incarnation:
            self._resumed = True
            return
        if self._answers.start():
            self._resumed = True
            self._follow(*resume(self.rollout, self._incarnation, self._now_ms()))

    def _step(self, item: Input) -> None:
        self._follow(*step(self.rollout, item, self._now_ms()))

    def _follow(self, after: Rollout, outputs: Sequence[Any]) -> None:
        before, self.rollout = self.rollout, after
        if _identity(before) != _identity(after):
            self._lines.state(after)
        for output in outputs:
            if isinstance(output, Note):
                self.log.info(
                    "roll-out",
                    status=output.status,
                    revision=output.revision,
                    reasons=[str(fault) for fault in output.reasons],
                )
            self._lines.output(output, self._now_ms())


def _is_kill(item: News) -> bool:
    return isinstance(item, Loaded) and item.namespace == KILL


def _same(examined: Resolved, completed: Resolved) -> None:
    """A completed copy stands for the same text."""
    if (examined.revision, examined.digest) != (completed.revision, completed.digest):
        raise ValueError(
            f"revision {examined.revision} of digest {examined.digest} became revision "
            f"{completed.revision} of digest {completed.digest}"
        )


def _text(loaded: Loaded) -> str:
    if loaded.text is None:
        cure = "publish the text under the key content, in a namespace of format json"
        raise ConfigInvalid([Fault("$", f"{loaded.namespace} has no key content", cure)])
    return loaded.text


def _identity(rollout: Rollout) -> tuple[str | None, str | None]:
    """What a restart must know; who is READY is asked again."""
    committed, preparing = rollout.committed, rollout.preparing
    return (
        f"{committed.revision} {committed.digest}" if committed else None,
        preparing.prepare_id if preparing else None,
    )
