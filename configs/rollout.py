"""The two-phase release of a manifest, as a pure state machine.

Offer → *prepare* at every subtask → all READY → *commit*; anything else → *abort*, and the
manifest committed before stays. :func:`step` takes a state and one input and gives the next
state and what to send. A state serialises (:func:`dump`, :func:`load`); after a restart
:func:`resume` sends again what may have been lost.

Invariants, tested as properties: a revision is committed only after every subtask was READY for
that very prepare; committed revisions only rise; only one revision is being prepared at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from configs.acks import Status
from udfs.errors import Fault, StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER: Final = b"MRR\x01"  # kind of value and format version of dump()
_NAMED: Final = 10  # silent subtasks named in a message


class Candidate(msgspec.Struct, frozen=True):
    """A valid manifest, ready to be sent.

    Args:
        revision: Its revision.
        digest: Its digest.
        payload: ``Resolved.dump()``.
        code: Compiled expressions, so that workers need not compile.
    """

    revision: int
    digest: str
    payload: bytes
    code: bytes = b""


class Attempt(msgspec.Struct, frozen=True):
    """A candidate on its way through the subtasks."""

    candidate: Candidate
    prepare_id: str
    started_ms: int
    ready: frozenset[int] = frozenset()


class Rollout(msgspec.Struct, frozen=True):
    """The state.

    Args:
        parallelism: Number of subtasks that must be READY.
        prepare_timeout_ms: How long they may take.
        incarnation: Differs between any two starts, so that an answer to an attempt of an
            earlier life is never taken for one to a new attempt.
        attempts: Attempts of this incarnation so far.
        committed: What runs; None before the first commit.
        preparing: What is on its way.
    """

    parallelism: int
    prepare_timeout_ms: int
    incarnation: str
    attempts: int = 0
    committed: Candidate | None = None
    preparing: Attempt | None = None


class Offered(msgspec.Struct, frozen=True):
    """A new content that resolved and validated."""

    candidate: Candidate


class Refused(msgspec.Struct, frozen=True):
    """A new content with faults; revision if it could be read."""

    revision: int | None
    faults: tuple[Fault, ...]


class Ack(msgspec.Struct, frozen=True):
    """A worker's answer."""

    revision: int
    prepare_id: str
    subtask: int
    status: Literal["READY", "NACK"]
    reasons: tuple[Fault, ...] = ()


class Tick(msgspec.Struct, frozen=True):
    """Time went on."""


class Prepare(msgspec.Struct, frozen=True):
    """To every subtask: load this, keep the old one running, answer READY or NACK."""

    candidate: Candidate
    prepare_id: str


class Commit(msgspec.Struct, frozen=True):
    """To every subtask: switch to what you prepared; nothing to do if it runs already."""

    revision: int
    prepare_id: str


class Abort(msgspec.Struct, frozen=True):
    """To every subtask: drop what you prepared."""

    revision: int
    prepare_id: str


class Note(msgspec.Struct, frozen=True):
    """A record of the watcher for the topic ``acks``."""

    status: Status
    revision: int | None
    prepare_id: str | None = None
    reasons: tuple[Fault, ...] = ()


Input = Offered | Refused | Ack | Tick
Output = Prepare | Commit | Abort | Note
Step = tuple[Rollout, list[Output]]


def step(state: Rollout, item: Input, now_ms: int) -> Step:
    """Take one input.

    Args:
        state: Before.
        item: What happened.
        now_ms: Wall-clock time.

    Returns:
        State after, and what to send, in order.
    """
    match item:
        case Offered(candidate):
            return _offered(state, candidate, now_ms)
        case Refused(revision, faults):
            return state, [Note("NACK", revision, reasons=faults)]
        case Ack():
            return _ack(state, item)
        case Tick():
            return _tick(state, now_ms)


def resume(
    state: Rollout,
    incarnation: str,
    now_ms: int,
    parallelism: int | None = None,
    prepare_timeout_ms: int | None = None,
) -> Step:
    """Go on after a restart: whatever was sent last may be lost, so it is sent again.

    The committed revision is announced as prepare and commit: a worker that runs it has nothing
    to do, one that lost it gets all it needs. What was being prepared is prepared anew.

    Args:
        state: As it was stored.
        incarnation: A new one.
        now_ms: Wall-clock time.
        parallelism: A new one, if the job was rescaled.
        prepare_timeout_ms: A new one, if the setting changed.

    Returns:
        As :func:`step`.
    """
    if incarnation == state.incarnation:
        raise ValueError(f"incarnation {incarnation!r} was used before; make a new one")
    outputs: list[Output] = []
    interrupted = state.preparing
    state = msgspec.structs.replace(
        state,
        incarnation=incarnation,
        attempts=0,
        preparing=None,
        parallelism=state.parallelism if parallelism is None else parallelism,
        prepare_timeout_ms=prepare_timeout_ms or state.prepare_timeout_ms,
    )
    if (committed := state.committed) is not None:
        state, prepare_id = _next_id(state)
        outputs += [Prepare(committed, prepare_id), Commit(committed.revision, prepare_id)]
    if interrupted is not None:
        state, prepares = _prepare(state, interrupted.candidate, now_ms)
        outputs.extend(prepares)
    return state, outputs


def dump(state: Rollout) -> bytes:
    """Bytes of a state: ``MRR``, a version byte, then MessagePack."""
    return _HEADER + msgspec.msgpack.encode(state)


def load(blob: bytes) -> Rollout:
    """Read what :func:`dump` wrote.

    Raises:
        StateIncompatible: Bytes of another version or none of ours.
    """
    if not blob.startswith(_HEADER):
        raise StateIncompatible(
            f"a roll-out in state starts with {blob[:4]!r}, this version reads {_HEADER!r}; "
            "start with the version that wrote it, or without state"
        )
    try:
        return msgspec.msgpack.decode(blob[len(_HEADER) :], type=Rollout)
    except msgspec.DecodeError as error:
        raise StateIncompatible(
            f"a roll-out in state cannot be read: {error}; start without state"
        ) from error


def _next_id(state: Rollout) -> tuple[Rollout, str]:
    attempts = state.attempts + 1
    return msgspec.structs.replace(state, attempts=attempts), f"{state.incarnation}-{attempts}"


def _prepare(state: Rollout, candidate: Candidate, now_ms: int) -> Step:
    state, prepare_id = _next_id(state)
    attempt = Attempt(candidate, prepare_id, now_ms)
    return msgspec.structs.replace(state, preparing=attempt), [Prepare(candidate, prepare_id)]


def _offered(state: Rollout, candidate: Candidate, now_ms: int) -> Step:
    attempt = state.preparing
    newest = attempt.candidate if attempt else state.committed
    if newest is not None and candidate.revision <= newest.revision:
        if (candidate.revision, candidate.digest) == (newest.revision, newest.digest):
            return state, []  # on its way or there already
        what = "is being prepared" if attempt else "is committed"
        return state, [
            Note("NACK", candidate.revision, reasons=(_not_higher(candidate, newest, what),))
        ]
    outputs = _drop(attempt, "SUPERSEDED", (_overtaken(candidate),)) if attempt else []
    state, prepares = _prepare(state, candidate, now_ms)
    return state, outputs + prepares


def _not_higher(candidate: Candidate, known: Candidate, what: str) -> Fault:
    cure = f"publish it as revision {known.revision + 1} or higher"
    if candidate.revision == known.revision:
        problem = f"revision {candidate.revision} {what} with other content"
    else:
        problem = f"lower revision: {candidate.revision}, while {known.revision} {what}"
    return Fault("revision", problem, cure)


def _overtaken(candidate: Candidate) -> Fault:
    return Fault("revision", f"overtaken by revision {candidate.revision}")


def _drop(attempt: Attempt, status: Status, reasons: Sequence[Fault]) -> list[Output]:
    revision = attempt.candidate.revision
    return [
        Abort(revision, attempt.prepare_id),
        Note(status, revision, attempt.prepare_id, tuple(reasons)),
    ]


def _ack(state: Rollout, ack: Ack) -> Step:
    attempt = state.preparing
    if (
        attempt is None
        or ack.prepare_id != attempt.prepare_id
        or ack.revision != attempt.candidate.revision
        or not 0 <= ack.subtask < state.parallelism
    ):
        return state, []  # an answer to an earlier attempt, or of another job
    if ack.status == "NACK":
        reasons = [
            Fault(f"subtask {ack.subtask}: {fault.where}", fault.problem, fault.cure)
            for fault in ack.reasons
        ] or [Fault(f"subtask {ack.subtask}", "refused without a reason", "see the worker's log")]
        return msgspec.structs.replace(state, preparing=None), _drop(attempt, "ABORTED", reasons)
    ready = attempt.ready | {ack.subtask}
    if len(ready) < state.parallelism:
        attempt = msgspec.structs.replace(attempt, ready=ready)
        return msgspec.structs.replace(state, preparing=attempt), []
    revision = attempt.candidate.revision
    state = msgspec.structs.replace(state, committed=attempt.candidate, preparing=None)
    return state, [
        Commit(revision, attempt.prepare_id),
        Note("COMMITTED", revision, attempt.prepare_id),
    ]


def _tick(state: Rollout, now_ms: int) -> Step:
    attempt = state.preparing
    if attempt is None:
        return state, []
    if now_ms < attempt.started_ms:  # the clock was set back; the time waited so far is forgotten
        attempt = msgspec.structs.replace(attempt, started_ms=now_ms)
        return msgspec.structs.replace(state, preparing=attempt), []
    if now_ms - attempt.started_ms < state.prepare_timeout_ms:
        return state, []
    silent = [index for index in range(state.parallelism) if index not in attempt.ready]
    names = ", ".join(map(str, silent[:_NAMED])) + (", …" if len(silent) > _NAMED else "")
    fault = Fault(
        "$",
        f"no answer from {len(silent)} of {state.parallelism} subtasks ({names}) "
        f"within {state.prepare_timeout_ms} ms",
        "see the workers' logs, then publish again",
    )
    return msgspec.structs.replace(state, preparing=None), _drop(attempt, "NACK", (fault,))
