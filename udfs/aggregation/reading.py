"""Reading specs of aggregates, with all their faults at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from udfs.aggregation.derived import in_order, reads_of
from udfs.aggregation.operations.factory import FUNCTIONS, NEEDS_K
from udfs.aggregation.read_windows import read_window
from udfs.aggregation.specs import DEFAULT_GROUPS, TIERS, Spec
from udfs.errors import ConfigInvalid, ExpressionInvalid, Fault
from udfs.expressions import CodeCache, Expression, Names, compile_expression
from udfs.slices import Work

MAX_K: Final = 10_000
MAX_GROUPS: Final = 100_000

_KEYS: Final = (
    "aggregate", "version", "event", "where", "value", "group_by", "max_groups", "function", "k",
    "q", "window", "tier", "derive",
)  # fmt: skip
_OF_DERIVED: Final = ("aggregate", "version", "derive")
_EVENT: Final = Names(event=True)


def reading(specs: Any, cache: CodeCache | None, where: str) -> Work[list[Spec]]:
    """Check and compile specs, one at a time.

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
    names = [
        spec["aggregate"]
        for spec in specs
        if isinstance(spec, Mapping) and isinstance(spec.get("aggregate"), str)
    ]
    reader = _Reader(cache, names)
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
        yield
    if not reader.faults:
        _check_circles(read, taken, reader)
    if reader.faults:
        raise ConfigInvalid(reader.faults)
    return read


def _check_circles(specs: Sequence[Spec], paths: Mapping[str, str], reader: _Reader) -> None:
    for name in in_order(reads_of(specs))[1]:
        reader.fault(
            f"{paths[name]}.derive",
            f"{name!r} depends on itself, directly or through others",
            "derive it from aggregates that do not read it",
        )


class _Reader:
    """Collects faults while it reads."""

    def __init__(self, cache: CodeCache | None, names: Sequence[str]) -> None:
        self.faults: list[Fault] = []
        self._cache = cache
        self._others = Names(event=False, values=tuple(dict.fromkeys(names)))
        self._compiled: dict[tuple[str, bool], Expression] = {}

    def fault(self, where: str, problem: str, cure: str) -> None:
        self.faults.append(Fault(where, problem, cure))

    def spec(self, spec: Mapping[str, Any], path: str) -> Spec:
        self._keys(spec, path)
        name = self._name(spec.get("aggregate"), path)
        version = spec.get("version", 1)
        if type(version) is not int or version < 0:
            self.fault(f"{path}.version", f"{version!r} is not a version", "write an integer")
        if "derive" in spec:
            derive = self._expression(spec, "derive", path, of_event=False)
            if derive is None and spec["derive"] is None:
                self.fault(f"{path}.derive", "null is no expression", "write it as a string")
            return Spec(name, derive=derive)
        function = self._function(spec.get("function"), path)
        value = self._expression(spec, "value", path)
        if spec.get("value") is None and function not in {"", "count"}:
            self.fault(
                f"{path}.value", f"{function} needs a value", "add an expression, e.g. props.amount"
            )
        window, faults = read_window(spec.get("window", "lifetime"), f"{path}.window")
        self.faults.extend(faults)
        return Spec(
            name,
            self._events(spec.get("event"), f"{path}.event"),
            self._expression(spec, "where", path),
            value,
            self._expression(spec, "group_by", path),
            self._groups(spec, path),
            function,
            self._k(spec, function, f"{path}.k"),
            self._q(spec, function, f"{path}.q"),
            window,
            self._tier(spec.get("tier", "normal"), path),
        )

    def _keys(self, spec: Mapping[str, Any], path: str) -> None:
        for key in spec:
            if key not in _KEYS:
                near = difflib.get_close_matches(str(key), _KEYS, 1)
                cure = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KEYS)}"
                self.fault(f"{path}.{key}", "unknown key", cure)
            elif "derive" in spec and key not in _OF_DERIVED:
                self.fault(
                    f"{path}.{key}",
                    f"a derived aggregate has no {key!r}",
                    "leave it out: it reads other aggregates, not events",
                )

    def _name(self, name: Any, path: str) -> str:
        if isinstance(name, str) and name:
            return name
        self.fault(f"{path}.aggregate", f"{name!r} is not a name", "write a string, not empty")
        return ""

    def _function(self, function: Any, path: str) -> str:
        if isinstance(function, str) and function in FUNCTIONS:
            return function
        near = difflib.get_close_matches(str(function), FUNCTIONS, 1)
        cure = f"did you mean {near[0]!r}?" if near else f"use {', '.join(FUNCTIONS)}"
        self.fault(f"{path}.function", f"{function!r} is not a function", cure)
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

    def _expression(
        self, spec: Mapping[str, Any], key: str, path: str, *, of_event: bool = True
    ) -> Expression | None:
        if spec.get(key) is None:
            return None
        text, where = spec[key], f"{path}.{key}"
        if not isinstance(text, str):
            self.fault(where, f"{text!r} is not an expression", "write it as a string")
            return None
        text = text.strip()
        names = _EVENT if of_event else self._others
        if (text, of_event) not in self._compiled:
            try:
                made = compile_expression(text, names, self._cache, where)
            except ExpressionInvalid as invalid:
                self.faults.extend(invalid.faults)
                return None
            self._compiled[text, of_event] = made
        return self._compiled[text, of_event]

    def _k(self, spec: Mapping[str, Any], function: str, where: str) -> int | None:
        k = spec.get("k")
        if k is None:
            if function in NEEDS_K:
                self.fault(where, f"{function} needs k", "say how many values, e.g. 10")
                return 1
            return None
        if function and function not in NEEDS_K and function != "histogram":
            self.fault(where, f"{function} has no k", "leave it out")
        if type(k) is not int or not 1 <= k <= MAX_K:
            self.fault(where, f"{k!r} is not a number of values", f"write 1 to {MAX_K}")
            return 1
        return k

    def _q(self, spec: Mapping[str, Any], function: str, where: str) -> tuple[float, ...] | None:
        q = spec.get("q")
        if function != "approx_percentile":
            if q is not None and function:
                self.fault(where, f"{function} has no q", "leave it out")
            return None
        if not isinstance(q, list | tuple) or not q:
            self.fault(where, f"{q!r} is not a list of shares", "write, for example, [0.5, 0.99]")
            return (0.5,)
        for i, one in enumerate(q):
            if type(one) not in {int, float} or not 0 <= one <= 1:
                self.fault(f"{where}[{i}]", f"{one!r} is not a share", "write a number from 0 to 1")
        return tuple(float(one) for one in q if type(one) in {int, float})

    def _groups(self, spec: Mapping[str, Any], path: str) -> int:
        most = spec.get("max_groups", DEFAULT_GROUPS)
        where = f"{path}.max_groups"
        if "max_groups" in spec and spec.get("group_by") is None:
            self.fault(where, "there are no groups", "add group_by, or leave it out")
        if type(most) is not int or not 1 <= most <= MAX_GROUPS:
            self.fault(where, f"{most!r} is not a number of groups", f"write 1 to {MAX_GROUPS}")
            return DEFAULT_GROUPS
        return most

    def _tier(self, tier: Any, path: str) -> str:
        if tier in TIERS:
            return str(tier)
        self.fault(f"{path}.tier", f"{tier!r} is not a tier", f"use {', '.join(TIERS)}")
        return "normal"
