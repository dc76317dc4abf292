"""Specs of aggregates: reading them, with all their faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_intdigest

from udfs.errors import ConfigInvalid, ExpressionInvalid, Fault
from udfs.events.durations import parse_duration
from udfs.expressions import CodeCache, Expression, Names, compile_expression

_KEYS: Final = ("aggregate", "version", "event", "where", "value", "function", "window")
_LATER_KEYS: Final = ("group_by", "max_groups", "derive", "k", "q")
_FUNCTIONS: Final = ("count", "sum", "last")
_LATER_FUNCTIONS: Final = (
    "avg",
    "min",
    "max",
    "variance",
    "stddev",
    "skew",
    "kurtosis",
    "first",
    "first_k",
    "last_k",
    "sequence",
    "top_k",
    "bottom_k",
    "unique_count",
    "unique_k",
    "approx_unique_count",
    "approx_percentile",
    "histogram",
)
_LATER_WINDOWS: Final = ("tumbling", "session", "last")
_EVENT: Final = Names(event=True)


class Spec(msgspec.Struct, frozen=True):
    """One aggregate, checked and compiled.

    Args:
        name: What flows call it.
        events: Event types, None for all.
        where: Condition on the event, None for true.
        value: What is aggregated, None if only events are counted.
        function: ``count``, ``sum`` or ``last``.
        window_ms: Length of the sliding window, None for lifetime.
    """

    name: str
    events: frozenset[str] | None
    where: Expression | None
    value: Expression | None
    function: str
    window_ms: int | None

    @property
    def key(self) -> int:
        """64-bit hash of everything but the name: equal keys mean equal values."""
        structure = (
            None if self.events is None else sorted(self.events),
            None if self.where is None else self.where.text,
            None if self.value is None else self.value.text,
            self.function,
            self.window_ms,
        )
        key: int = xxh3_64_intdigest(msgspec.json.encode(structure))
        return key


def read_specs(specs: Any, cache: CodeCache | None, where: str) -> list[Spec]:
    """Check and compile specs.

    Args:
        specs: A list of JSON objects.
        cache: Compiled expressions to reuse.
        where: JSON path of the list.

    Returns:
        The specs in their order.

    Raises:
        ConfigInvalid: With every fault of every spec.
    """
    if not isinstance(specs, Sequence) or isinstance(specs, str | bytes):
        raise ConfigInvalid([Fault(where, "not a list of aggregates", "write a JSON array")])
    reader = _Reader(cache)
    read: list[Spec] = []
    taken: dict[str, str] = {}
    for i, spec in enumerate(specs):
        path = f"{where}[{i}]"
        if not isinstance(spec, Mapping):
            reader.fault(path, "not an aggregate", "write a JSON object")
            continue
        one = reader.spec(spec, path)
        if one.name in taken:
            reader.fault(
                f"{path}.aggregate",
                f"the name {one.name!r} is taken by {taken[one.name]}",
                "give each aggregate a name of its own",
            )
        elif one.name:
            taken[one.name] = path
        read.append(one)
    if reader.faults:
        raise ConfigInvalid(reader.faults)
    return read


class _Reader:
    """Collects faults while it reads."""

    def __init__(self, cache: CodeCache | None) -> None:
        self.faults: list[Fault] = []
        self._cache = cache
        self._compiled: dict[str, Expression] = {}

    def fault(self, where: str, problem: str, cure: str) -> None:
        self.faults.append(Fault(where, problem, cure))

    def spec(self, spec: Mapping[str, Any], path: str) -> Spec:
        for key in spec:
            if key in _LATER_KEYS:
                self.fault(f"{path}.{key}", f"{key!r} is not supported yet", "leave it out")
            elif key not in _KEYS:
                self.fault(f"{path}.{key}", "unknown key", f"known are {', '.join(_KEYS)}")
        function = self._function(spec.get("function"), path)
        value = self._expression(spec, "value", path)
        if value is None and "value" not in spec and function in {"sum", "last"}:
            self.fault(
                f"{path}.value", f"{function} needs a value", "add an expression, e.g. props.amount"
            )
        version = spec.get("version", 1)
        if type(version) is not int or version < 0:
            self.fault(f"{path}.version", f"{version!r} is not a version", "write an integer")
        return Spec(
            name=self._name(spec.get("aggregate"), path),
            events=self._events(spec.get("event"), f"{path}.event"),
            where=self._expression(spec, "where", path),
            value=value,
            function=function,
            window_ms=self._window(spec.get("window", "lifetime"), f"{path}.window"),
        )

    def _name(self, name: Any, path: str) -> str:
        if isinstance(name, str) and name:
            return name
        self.fault(f"{path}.aggregate", f"{name!r} is not a name", "write a string, not empty")
        return ""

    def _function(self, function: Any, path: str) -> str:
        if function in _FUNCTIONS:
            return str(function)
        later = isinstance(function, str) and function in _LATER_FUNCTIONS
        self.fault(
            f"{path}.function",
            f"{function!r} is not {'supported yet' if later else 'a function'}",
            f"use {', '.join(_FUNCTIONS)}",
        )
        return ""

    def _events(self, event: Any, where: str) -> frozenset[str] | None:
        if event is None:
            return None
        events = event if isinstance(event, list | tuple) else [event]
        if not events:
            self.fault(where, "an empty list matches nothing", "leave event out for all types")
        for i, one in enumerate(events):
            if not isinstance(one, str) or not one:
                at = f"{where}[{i}]" if events is event else where
                self.fault(at, f"{one!r} is not an event type", "write a string, not empty")
        return frozenset(one for one in events if isinstance(one, str))

    def _expression(self, spec: Mapping[str, Any], key: str, path: str) -> Expression | None:
        if spec.get(key) is None:
            return None
        text, where = spec[key], f"{path}.{key}"
        if not isinstance(text, str):
            self.fault(where, f"{text!r} is not an expression", "write it as a string")
            return None
        text = text.strip()
        if text not in self._compiled:
            try:
                self._compiled[text] = compile_expression(text, _EVENT, self._cache, where)
            except ExpressionInvalid as invalid:
                self.faults.extend(invalid.faults)
                return None
        return self._compiled[text]

    def _window(self, window: Any, where: str) -> int | None:
        if window == "lifetime":
            return None
        cure = 'write {"sliding": "1h"} or "lifetime"'
        if not isinstance(window, Mapping):
            self.fault(where, f"{window!r} is not a window", cure)
            return None
        for key in window:
            if key in _LATER_WINDOWS or (key in {"hop", "timezone"} and len(window) > 1):
                self.fault(f"{where}.{key}", f"{key!r} windows are not supported yet", cure)
            elif key != "sliding":
                self.fault(f"{where}.{key}", "unknown key", cure)
        if "sliding" not in window:
            if not window:
                self.fault(where, "a window without a length", cure)
            return None
        try:
            return parse_duration(window["sliding"])
        except ValueError as error:
            self.fault(f"{where}.sliding", str(error), 'for example "1h"')
            return None
