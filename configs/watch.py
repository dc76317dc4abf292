"""The watcher: follows the config server, refuses what is wrong, and rolls out what is right.

It runs in a process of its own beside the job's operator (:mod:`configs.watch_process`) and
speaks in lines (:mod:`configs.lines`). :meth:`Watcher.turn` is the whole of it; it blocks only
while it reads blobs, validates, and waits a moment for answers of workers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from configs import manifest
from configs.client import Failed, Idle, Loaded
from configs.kill import Kill, parse_kill
from configs.rollout import (
    Ack,
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
    from collections.abc import Callable, Sequence

    from configs.lines import Lines
    from configs.manifest import Fetch, Ref, Resolved

MANIFEST: Final = "millrace.json"
KILL: Final = "millrace.kill.json"

BLOB_RETRIES_MS: Final = (200, 500, 1_000)  # a blob may become visible after the manifest
ACKS_RETRY_MS: Final = 2_000
ANSWER_S: Final = 0.1  # between ticks while answers are awaited

News = Loaded | Failed | Idle


class AckSource(Protocol):
    """Workers' answers."""

    def skip_to_end(self) -> None:
        """Give from here on only what comes from now on. Raises ConfigUnavailable."""

    def poll(self, timeout_s: float) -> list[Ack]:
        """What came since. Raises ConfigUnavailable."""

    def close(self) -> None:
        """Give up connections."""


class _Pending:
    """A text that is not refused yet."""

    def __init__(self, text: str, fingerprint: str, due_ms: int) -> None:
        self.text = text
        self.fingerprint = fingerprint
        self.due_ms = due_ms
        self.tries = 0


class Watcher:
    """Follows two namespaces for one job.

    Args:
        rollout: Where to start, see ``watch_process.first_rollout``.
        fetch: Reads blobs.
        validate: Compiles a manifest: all faults, or none and the compiled code to ship with it.
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
        validate: Callable[[Resolved], tuple[Sequence[Fault], bytes]],
        acks: AckSource,
        lines: Lines,
        now_ms: Callable[[], int],
        incarnation: str,
        log: Any,
    ) -> None:
        self.rollout = rollout
        self._fetch = fetch
        self._validate = validate
        self._acks = acks
        self._lines = lines
        self._now_ms = now_ms
        self._incarnation = incarnation
        self.log = log
        self._resumed = False
        self._pending: _Pending | None = None
        self._candidate: Candidate | None = None
        self._refused: str | None = None  # fingerprint of the content refused last
        self._refused_kill: str | None = None
        self._kill: Kill | None = None
        self._acks_due_ms = 0
        self._problem: str | None = None
        self._deaf = False

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
        if self._candidate and self._resumed and self._acks_ready():
            candidate, self._candidate = self._candidate, None
            self._step(Offered(candidate))
        if self.rollout.preparing:
            for ack in self._answers():
                self._step(ack)
        self._step(Tick())

    @property
    def listening(self) -> bool:
        """A turn waits for answers by itself; the caller need not pause."""
        return self.rollout.preparing is not None and not self._deaf

    def close(self) -> None:
        """Give up the connections for answers."""
        self._acks.close()

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
            candidate = self._validated(resolved)
        except ConfigInvalid as error:
            only_absent = absent == len(error.faults)
            if only_absent and pending.tries < len(BLOB_RETRIES_MS):
                pending.due_ms = self._now_ms() + BLOB_RETRIES_MS[pending.tries]
                pending.tries += 1
                return
            # An absent blob may be there when the same text is published again.
            self._refused = None if absent else pending.fingerprint
            self._refuse(manifest.revision_of(pending.text), error.faults)
        else:
            self._refused = None
            self._candidate = candidate
        self._pending = None

    def _validated(self, resolved: Resolved) -> Candidate | None:
        committed = None if self.rollout.preparing else self.rollout.committed
        if committed and (committed.revision, committed.digest) == (
            resolved.revision,
            resolved.digest,
        ):
            return None  # runs already, e.g. after a restart
        try:
            faults, code = self._validate(resolved)
        except ConfigInvalid as error:
            faults, code = error.faults, b""
        except Exception as error:
            self.log.exception("validation failed", revision=resolved.revision)
            problem = f"validation failed: {type(error).__name__}: {error}"
            faults, code = [Fault("$", problem, "report it; the last manifest stays")], b""
        if faults:
            raise ConfigInvalid(faults)
        return Candidate(resolved.revision, resolved.digest, resolved.dump(), code)

    def _refuse(self, revision: int | None, faults: Sequence[Fault]) -> None:
        self.log.warning(
            "manifest refused", revision=revision, faults=[str(fault) for fault in faults]
        )
        self._step(Refused(revision, tuple(faults)))

    def _resume(self) -> None:
        if self.rollout.incarnation == self._incarnation:
            self._resumed = True
            return
        if self._acks_ready():
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

    def _acks_ready(self) -> bool:
        """Go to the end of the answers, before something is sent that will be answered."""
        if self._now_ms() < self._acks_due_ms:
            return False
        try:
            self._acks.skip_to_end()
        except ConfigUnavailable as error:
            self._acks_due_ms = self._now_ms() + ACKS_RETRY_MS
            self.log.warning("answers cannot be read; nothing is sent yet", problem=str(error))
            return False
        return True

    def _answers(self) -> list[Ack]:
        self._deaf = False
        try:
            return self._acks.poll(ANSWER_S)
        except ConfigUnavailable as error:
            self._deaf = True
            self.log.warning("answers cannot be read", problem=str(error))
            return []


def _is_kill(item: News) -> bool:
    return isinstance(item, Loaded) and item.namespace == KILL


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
