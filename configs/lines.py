"""What the watcher's process tells the operator beside it: one JSON object a line.

``type`` is one of ``prepare``, ``commit``, ``abort``, ``kill``, ``record``, ``status``,
``state``; bytes are base64. Unknown types are to be ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from configs.acks import AckRecord
from configs.rollout import Abort, Commit, Note, Output, Prepare, Rollout, dump

if TYPE_CHECKING:
    from configs.kill import Kill

ACKS = "acks"


class Lines:
    """Writes them.

    Args:
        out: Flushed after every line. A closed pipe raises ``BrokenPipeError``.
        job: Name of the job, for records.
    """

    def __init__(self, out: BinaryIO, job: str) -> None:
        self._out = out
        self._job = job

    def output(self, output: Output, now_ms: int) -> None:
        """What the roll-out says."""
        match output:
            case Prepare(candidate, prepare_id):
                self._write(
                    "prepare",
                    revision=candidate.revision,
                    prepare_id=prepare_id,
                    digest=candidate.digest,
                    payload=candidate.payload,
                    code=candidate.code,
                )
            case Commit(revision, prepare_id):
                self._write("commit", revision=revision, prepare_id=prepare_id)
            case Abort(revision, prepare_id):
                self._write("abort", revision=revision, prepare_id=prepare_id)
            case Note():
                self._record(output, now_ms)

    def kill(self, kill: Kill, release_key: str | None) -> None:
        """What is stopped now; replaces what was stopped before."""
        self._write(
            "kill",
            flows=sorted(kill.flows),
            rules=sorted(kill.rules),
            all=kill.all,
            release_key=release_key,
        )

    def status(self, state: str, **fields: Any) -> None:
        """How the watcher is."""
        self._write("status", state=state, **fields)

    def state(self, rollout: Rollout) -> None:
        """The roll-out to keep for a restart; comes before the lines that follow from it."""
        self._write("state", rollout=dump(rollout))

    def _record(self, note: Note, now_ms: int) -> None:
        record = AckRecord(
            revision=note.revision,
            status=note.status,
            prepare_id=note.prepare_id,
            subtask=None,
            who="watcher",
            reasons=note.reasons,
            at=now_ms,
            job=self._job,
        )
        self._write("record", topic=ACKS, value=record)

    def _write(self, kind: str, **fields: Any) -> None:
        self._out.write(msgspec.json.encode({"type": kind, **fields}) + b"\n")
        self._out.flush()
