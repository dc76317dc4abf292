"""The manifest: everything that changes together, in one JSON text with a rising revision.

A part (rules, aggregates, flows ...) is a list written in place or a reference to a blob
``{"uri", "sha256", "bytes"}`` that holds the list as JSON. :func:`resolve` reads a manifest and
its blobs into a :class:`Resolved` and names every fault with its JSON path; ``Resolved`` holds
the parts themselves, so that a job recovers from its own state while every server is down.

``features`` and ``models`` hold pointers: which release of a table, which version of a model,
and the blob that says all the rest. Here a pointer is an object like any other item; what it
must hold is checked where it is followed.

``configs/manifest.schema.json`` is the same schema for editors and other tools, with the shape
of pointers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from configs import strict_json
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, StateIncompatible

SCHEMA: Final = 1
PARTS: Final = ("mappings", "rules", "aggregates", "flows", "features", "models")
SUPPORTED: Final = frozenset({"rules", "aggregates", "flows", "features", "models"})
"""Parts that this version can run; the others must be absent or empty."""

MAX_BLOB_BYTES: Final = 64 << 20  # of one part; 100,000 rules of 500 bytes are 50 MB
_MAX_REVISION: Final = (1 << 63) - 1
_HEADER: Final = b"MRM\x01"  # kind of value and format version of Resolved.dump()
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = ("schema", "revision", "activate_at", *PARTS)

Fetch = Callable[["Ref"], bytes]
"""Bytes of a blob. Raises ConfigUnavailable (absent) or ConfigInvalid (wrong hash, size)."""


class Ref(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a blob lies and what must be in it.

    Args:
        uri: e.g. ``file:///srv/blobs/ab/abcd…``.
        sha256: 64 lower-case hex digits.
        bytes: Its length.
    """

    uri: str
    sha256: str
    bytes: int


class Finishing(msgspec.Struct, frozen=True):
    """A rule that was replaced, and whose runs may go on to their end.

    Args:
        rule: The rule.
        replaced_ms: Wall clock when it was replaced; null if that happened with a restart, until
            the next push.
    """

    rule: dict[str, Any]
    replaced_ms: int | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest with all its parts present.

    Args:
        revision: Rises with every committed manifest.
        activate_at: Event time in ms from which on it applies (compared with F), or None: at once.
        digest: SHA-256 over revision, activate_at and the parts in canonical form. It does not
            change with white space, order of keys, or a part moving into a blob. A copy whose
            pointers are completed with what their blobs say keeps it, and so does one with other
            `finishing`: that is what the job was doing, and nothing that anybody has published.
        finishing: Rules of earlier manifests that have to finish, the oldest first.
    """

    revision: int
    digest: str
    activate_at: int | None = None
    mappings: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    aggregates: list[dict[str, Any]] = []
    flows: list[dict[str, Any]] = []
    features: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    finishing: list[Finishing] = []

    def parts(self) -> dict[str, list[dict[str, Any]]]:
        """The parts by their names, and the rules that have to finish as ``finishing``."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {**parts, "finishing": [each.rule for each in self.finishing]}

    def dump(self) -> bytes:
        """Bytes for broadcast state: ``MRM``, a version byte, then MessagePack."""
        return _HEADER + msgspec.msgpack.encode(self)

    @classmethod
    def load(cls, blob: bytes) -> Resolved:
        """Read what :meth:`dump` wrote.

        Raises:
            StateIncompatible: Bytes of another version or none of ours.
        """
        head, body = blob[: len(_HEADER)], blob[len(_HEADER) :]
        if head != _HEADER:
            raise StateIncompatible(
                f"a manifest in state starts with {head!r}, this version reads {_HEADER!r}; "
                "start with the version that wrote it, or without state"
            )
        try:
            return msgspec.msgpack.decode(body, type=cls)
        except msgspec.DecodeError as error:
            raise StateIncompatible(
                f"a manifest in state cannot be read: {error}; start without state"
            ) from error

    @classmethod
    def of(cls, revision: int, activate_at: int | None = None, **parts: Any) -> Resolved:
        """Build one from its parts; the digest is computed.

        Args:
            revision: As in the class.
            activate_at: As in the class.
            parts: Lists of objects by the names in :data:`PARTS`.
        """
        lists = {name: list(parts.pop(name, ())) for name in PARTS}
        if parts:
            raise TypeError(f"unknown parts {sorted(parts)}, known are {PARTS}")
        canonical = msgspec.json.encode([revision, activate_at, lists], order="deterministic")
        digest = hashlib.sha256(canonical).hexdigest()
        return cls(revision=revision, activate_at=activate_at, digest=digest, **lists)


def resolve(text: str, fetch: Fetch, supported: frozenset[str] = SUPPORTED) -> Resolved:
    """Read a manifest and every blob it names.

    Args:
        text: The manifest's JSON.
        fetch: Reads a blob.
        supported: Parts that may be non-empty.

    Returns:
        The manifest with its parts.

    Raises:
        ConfigInvalid: With all faults; nothing of the manifest may be used.
    """
    value, faults = strict_json.scan(text)
    faults.extend(check(value))
    parts: dict[str, list[dict[str, Any]]] = {}
    if isinstance(value, dict):
        broken = {fault.where.partition("[")[0].partition(".")[0] for fault in faults}
        for name in PARTS:
            if name in broken:
                continue  # its faults are listed already; a wrong reference cannot be read
            try:
                parts[name] = items_of(name, value.get(name, []), fetch)
            except ConfigInvalid as error:
                faults.extend(error.faults)
                continue
            if parts[name] and name not in supported:
                faults.append(_unsupported(name))
    if faults:
        raise ConfigInvalid(faults)
    return Resolved.of(value["revision"], value.get("activate_at"), **parts)


def revision_of(text: str) -> int | None:
    """The revision that a manifest's text names, right or wrong otherwise; None if none."""
    try:
        value, _ = strict_json.scan(text)
    except ConfigInvalid:
        return None
    revision = value.get("revision") if isinstance(value, dict) else None
    return revision if _is_integer(revision) else None


def check(value: Any) -> list[Fault]:
    """Compare a parsed manifest with the schema; blobs are not read.

    Args:
        value: What ``strict_json.parse`` gave.

    Returns:
        All faults, empty if there are none.
    """
    if not isinstance(value, dict):
        return [Fault("$", f"{_kind(value)}, not an object", 'write {"schema": 1, "revision": 1}')]
    faults = [
        Fault(strict_json.path("$", key), "unknown field", f"known are {', '.join(_KEYS)}")
        for key in value
        if key not in _KEYS
    ]
    faults.extend(_integer(value, "schema", SCHEMA, SCHEMA))
    faults.extend(_integer(value, "revision", 1, _MAX_REVISION))
    if value.get("activate_at") is not None:
        faults.extend(_integer(value, "activate_at", 0, _MAX_REVISION))
    for name in PARTS:
        part = value.get(name, [])
        if isinstance(part, list):
            faults.extend(_items(name, part))
        elif isinstance(part, dict):
            faults.extend(_reference(name, part))
        else:
            faults.append(
                Fault(name, f"{_kind(part)}, neither a list nor a reference", "write a list")
            )
    return faults


def items_of(name: str, part: Any, fetch: Fetch) -> list[dict[str, Any]]:
    """The list that a part is.

    Args:
        name: Of the part.
        part: A list, or a reference that :func:`check` found right.
        fetch: Reads a blob.

    Raises:
        ConfigInvalid: The blob is absent, damaged, or holds something else.
    """
    if isinstance(part, list):
        return part
    ref = Ref(**part)
    try:
        blob = fetch(ref)
    except ConfigUnavailable as error:
        cure = "put the blob there before the manifest is published"
        raise ConfigInvalid([Fault(name, f"absent blob: {error}", cure)]) from error
    except ConfigInvalid as error:
        raise ConfigInvalid(
            Fault(name, f"{fault.where}: {fault.problem}", fault.cure) for fault in error.faults
        ) from error
    try:
        text = blob.decode()
    except UnicodeDecodeError as error:
        problem = f"blob {ref.uri} is not UTF-8 at byte {error.start}"
        raise ConfigInvalid([Fault(name, problem, "write JSON in UTF-8")]) from None
    try:
        items = strict_json.parse(text, name)
    except ConfigInvalid as error:
        raise ConfigInvalid(
            Fault(fault.where, f"blob {ref.uri}: {fault.problem}", fault.cure)
            for fault in error.faults
        ) from error
    if not isinstance(items, list):
        problem = f"blob {ref.uri} holds {_kind(items)}, not a list"
        raise ConfigInvalid([Fault(name, problem, "write a JSON list of objects")])
    if faults := _items(name, items):
        raise ConfigInvalid(faults)
    return items


def _unsupported(name: str) -> Fault:
    cure = "leave it out or empty, or run a version that knows it"
    return Fault(name, f"{name} are not supported by this version", cure)


def _kind(value: Any) -> str:
    """The JSON name of a value's type, with an article, and a scalar itself."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = repr(value) if len(repr(value)) <= 40 else f"{value!r:.36}…"  # noqa: PLR2004 - a line
    return f"the text {shown}" if isinstance(value, str) else f"the number {shown}"


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(value: Mapping[str, Any], key: str, low: int, high: int) -> list[Fault]:
    wanted = f"{low}" if low == high else f"an integer of at least {low}"
    if key not in value:
        return [Fault(key, "missing", f"write {wanted}")]
    found = value[key]
    if _is_integer(found) and low <= found <= high:
        return []
    return [Fault(key, f"{_kind(found)}, not {wanted}", f"write {wanted}")]


def _items(where: str, items: list[Any]) -> list[Fault]:
    return [
        Fault(strict_json.path(where, index), f"{_kind(item)}, not an object", "write an object")
        for index, item in enumerate(items)
        if not isinstance(item, dict)
    ]


def _reference(where: str, ref: Mapping[str, Any]) -> list[Fault]:
    faults = [
        Fault(strict_json.path(where, key), "unknown field", "known are uri, sha256, bytes")
        for key in ref
        if key not in Ref.__struct_fields__
    ]
    uri, sha256 = ref.get("uri"), ref.get("sha256")
    if not isinstance(uri, str) or not uri:
        problem = "missing" if uri is None else f"{_kind(uri)}, not a URI"
        faults.append(Fault(f"{where}.uri", problem, "name where the blob lies"))
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        problem = "missing" if sha256 is None else f"{_kind(sha256)}, not 64 lower-case hex digits"
        faults.append(Fault(f"{where}.sha256", problem, "write the SHA-256 of the blob"))
    size = [
        Fault(f"{where}.{fault.where}", fault.problem, fault.cure)
        for fault in _integer(ref, "bytes", 0, _MAX_REVISION)
    ]
    if not size and ref["bytes"] > MAX_BLOB_BYTES:
        problem = f"{ref['bytes']} bytes, more than the {MAX_BLOB_BYTES} allowed"
        size = [Fault(f"{where}.bytes", problem, "make it smaller")]
    return faults + size
