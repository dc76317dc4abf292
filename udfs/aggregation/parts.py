"""What the specs of a plan are made of: streams, windows, operations, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from udfs.aggregation.cells import cells_of
from udfs.aggregation.kinds import kind_of_stream
from udfs.aggregation.operations.factory import operation
from udfs.aggregation.specs import key_of
from udfs.aggregation.stream import Stream
from udfs.aggregation.windows.factory import window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from udfs.aggregation.operations.operation import Operation
    from udfs.aggregation.specs import Spec
    from udfs.aggregation.windows.window import Window
    from udfs.slices import Work


class Reading(msgspec.Struct, frozen=True):
    """How one aggregate is read.

    Args:
        name: Of the aggregate.
        stream: What it reads.
        operation: What it works out.
        window_ms: Length of its sliding window, None for all other windows.
        cell: Key of its cell, of all other windows.
        window: Likewise.
        value: Gives the value of a cell, likewise.
        tier: ``hot``, ``normal`` or ``cold``.
    """

    name: str
    stream: Stream
    operation: Operation
    window_ms: int | None
    cell: int
    window: Window | None
    value: Callable[[Any], Any] | None
    tier: str


class Parts:
    """Streams and readings of specs that are not derived.

    Attributes:
        streams: Each once.
        members: By stream, a spec that reads it: its types, condition, value and group.
        readings: By name of the aggregate.
        cells: Keys of all cells.
    """

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.members: list[Spec] = []
        self.readings: dict[str, Reading] = {}
        self.cells: set[int] = set()
        self._by_name: dict[tuple[Any, ...], Stream] = {}
        self._operations: dict[tuple[Any, ...], Operation] = {}
        self._windows: dict[tuple[int, int], tuple[Window, str]] = {}

    @classmethod
    def making(cls, specs: Sequence[Spec]) -> Work[Parts]:
        """Make the parts of specs, one at a time.

        Args:
            specs: Checked specs.
        """
        parts = cls()
        for spec in specs:
            parts.readings[spec.name] = parts._reading(spec)
            yield
        parts._hold()
        return parts

    @property
    def counters(self) -> dict[str, int]:
        """What was passed over, by reason."""
        operations = self._operations.values()
        return {
            "wrong_kind": sum(stream.wrong_kind for stream in self.streams),
            "sum_beyond_64_bits": sum(getattr(one, "beyond_int64", 0) for one in operations),
            "distinct_beyond": sum(getattr(one, "beyond", 0) for one in operations),
            "groups_dropped": sum(stream.groups_dropped for stream in self.streams),
            "log_full": sum(stream.log_full for stream in self.streams),
        }

    def _reading(self, spec: Spec) -> Reading:
        made = self._operation(spec)
        stream = self._stream(spec, made.kind)
        stream.kinds.add(made.kind)
        shape = spec.window
        if shape.kind == "sliding":
            assert isinstance(shape.length, int)
            stream.slide(shape.length, made)
            return Reading(spec.name, stream, made, shape.length, 0, None, None, spec.tier)
        raw = shape.kind == "last"
        cells = cells_of(made, raw=raw)
        key = key_of(msgspec.structs.astuple(shape), made.kind if raw else made.key)
        known = self._windows.get((stream.index, key))
        window = window_of(shape, cells) if known is None else known[0]
        self._windows[stream.index, key] = window, made.kind
        return Reading(spec.name, stream, made, None, key, window, cells.value, spec.tier)

    def _hold(self) -> None:
        """Let streams keep their cells; cold are those that only cold aggregates read."""
        warm = {
            (one.stream.index, one.cell) for one in self.readings.values() if one.tier != "cold"
        }
        for (index, key), (window, kind) in self._windows.items():
            self.streams[index].hold(key, window, kind, cold=(index, key) not in warm)
            self.cells.add(key)

    def _operation(self, spec: Spec) -> Operation:
        structure = (spec.function, spec.k, spec.q, spec.value is None)
        made = self._operations.get(structure)
        if made is None:
            made = operation(spec.function, spec.k, spec.q, value=spec.value is not None)
            self._operations[structure] = made
        return made

    def _stream(self, spec: Spec, own: str) -> Stream:
        """Give the stream for functions of a kind.

        A value that a function cannot take does not use its group, so those of other kinds have
        other groups in the end.
        """
        kind, grouped = kind_of_stream(own), spec.group_by is not None
        name = spec.stream(own if grouped else kind)
        stream = self._by_name.get(name)
        if stream is None:
            groups = spec.max_groups if grouped else None
            stream = Stream(key_of(*name), len(self.streams), kind, groups)
            if grouped and own != kind:
                stream.before = key_of(*spec.stream(kind))
            self._by_name[name] = stream
            self.streams.append(stream)
            self.members.append(spec)
        return stream
