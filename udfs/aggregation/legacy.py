"""State that version 1 wrote: one section per spec, three functions, two windows.

It held ``[plan, newest, sections]``, where a section's key was a hash of event types, condition,
value, function and window. Taken over are the sections of specs that are still there unchanged.
A sum did not know of how many values; an average that shares its state begins anew.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec
from xxhash import xxh3_64_intdigest

from udfs.aggregation.log import Log, filled
from udfs.aggregation.operations.sum import UNKNOWN
from udfs.aggregation.state import Entry, State
from udfs.errors import StateIncompatible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from udfs.aggregation.parts import Parts, Reading
    from udfs.aggregation.specs import Spec

VERSION: Final = 1

_TIME: Final = struct.Struct("<q")
_INT: Final = struct.Struct("<qq")
_DOUBLE: Final = struct.Struct("<qd")


class _Stored(msgspec.Struct, array_like=True, gc=False):
    plan: int
    newest: int
    sections: dict[int, Any]


_decode = msgspec.msgpack.Decoder(_Stored).decode


def read(blob: bytes, plan: int, specs: Iterable[Spec], parts: Parts) -> State:
    """Read a state of version 1.

    Args:
        blob: The whole blob.
        plan: Hash of the plan that reads it.
        specs: Of that plan.
        parts: Of that plan.

    Raises:
        StateIncompatible: Not a state.
    """
    try:
        stored = _decode(memoryview(blob)[1:])
        state = State(plan, stored.newest)
        # Of several windows over one stream the longest holds the entries of all.
        for spec in sorted(specs, key=_rank, reverse=True):
            section = stored.sections.get(_key(spec)) if spec.group_by is None else None
            if section is not None and spec.derive is None:
                _take_over(state, parts.readings[spec.name], spec.function, section)
    except (
        msgspec.DecodeError, UnicodeDecodeError, struct.error, TypeError, ValueError, IndexError
    ) as error:  # fmt: skip
        raise StateIncompatible(
            f"state of aggregates is damaged ({error}): restore another checkpoint"
        ) from error
    return state


def _rank(spec: Spec) -> tuple[int, bool]:
    """Of two sections over one window that of a sum knows more than that of a count."""
    length = spec.window.length
    return length if isinstance(length, int) else 0, spec.function == "sum"


def _key(spec: Spec) -> int:
    structure = (
        None if spec.events is None else sorted(spec.events),
        None if spec.where is None else spec.where.text,
        None if spec.value is None else spec.value.text,
        spec.function,
        spec.window.length if spec.window.kind == "sliding" else None,
    )
    key: int = xxh3_64_intdigest(msgspec.json.encode(structure))
    return key


def _take_over(state: State, reading: Reading, function: str, section: Any) -> None:
    stream = reading.stream
    entry = state.entries.get(stream.key) or Entry(None, {})
    if reading.window_ms is not None:
        if entry.log is None:
            entry.log = _log(reading, function, section)
    elif reading.cell not in entry.cells and reading.window is not None:
        if function == "sum":
            mantissa, scale, doubles = section
            entry.cells[reading.cell] = [UNKNOWN, mantissa, scale, int(doubles)]
        else:
            last = [[section[0]], [section[1]]] if function == "last" else section
            entry.cells[reading.cell] = last
    if entry.log is not None or entry.cells:
        state.entries.put(stream.key, entry)


def _log(reading: Reading, function: str, section: Any) -> Log | None:
    stream = reading.stream
    if function == "last":
        entries = [(section[0], section[1])]
    elif function == "sum":
        entries = [
            (stamp, value) if stamp >= 0 else (~stamp, _DOUBLE.unpack(_INT.pack(stamp, value))[1])
            for stamp, value in _INT.iter_unpack(section)
        ]
    elif stream.counts_only:
        entries = [(time, True) for (time,) in _TIME.iter_unpack(section)]
    else:  # what was counted is not known, and others ask for it
        return None
    entries.sort(key=lambda one: one[0])
    times = [time for time, _ in entries]
    items = [] if stream.bare else [item for _, item in entries]
    return filled(times, items, stream.kept) if times else None
