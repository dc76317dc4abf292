"""Records of the topic ``acks``: what became of a pushed config, told by watcher and workers.

The same in JSON Schema: ``configs/acks.schema.json``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from udfs.errors import Fault

Status = Literal["READY", "NACK", "COMMITTED", "ABORTED", "SUPERSEDED"]


class AckRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one revision.

    Args:
        revision: Revision of the manifest; None if the text has none, and for the kill switch.
        status: ``READY`` (worker), ``NACK`` (either), the others from the watcher.
        prepare_id: Which attempt; None before there is one.
        subtask: Index of the worker; None for the watcher.
        who: ``worker`` or ``watcher``.
        reasons: Why not; names the places.
        at: Wall-clock time in ms.
        job: Name of the job; several may share the topic.
    """

    revision: int | None
    status: Status
    prepare_id: str | None
    subtask: int | None
    who: Literal["watcher", "worker"]
    reasons: tuple[Fault, ...] = ()
    at: int
    job: str

    def encode(self) -> bytes:
        """The record's JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, value: bytes) -> AckRecord:
        """Read a record; fields of later versions are ignored.

        Raises:
            msgspec.DecodeError: Not such a record.
        """
        return msgspec.json.decode(value, type=cls)
