"""All that generated code can reach: helpers by name, and no builtins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from udfs.events.event import Event
from udfs.expressions import (
    absorb,
    arithmetic,
    budget,
    calendar_fields,
    conversions,
    hashing,
    kinds,
    patterns,
    text,
    times,
    values,
)
from udfs.expressions.export import export
from udfs.expressions.functions import CALLABLE, MACROS
from udfs.expressions.limits import MAX_STEPS
from udfs.expressions.values import EvaluationError

Steps: TypeAlias = Mapping[str, Sequence[Event]] | None
Values: TypeAlias = Mapping[str, Any] | None

NEW_BUDGET = f"[{MAX_STEPS}, None]"
"""Source of a `budget.Budget`."""

_MODULES = (
    *(values, arithmetic, text, absorb, budget, calendar_fields, conversions, hashing, kinds),
    *(patterns, times),
)
_ALWAYS = (
    *("select", "has", "make_map", "check_bool", "conjunction", "disjunction", "charge"),
    *("turns", "new_pattern", "MIN_INT", "MAX_INT", "FAILURES", "UInt", "TypeValue"),
)


def _fail(error: Exception) -> NoReturn:
    if isinstance(error, EvaluationError):
        raise error
    raise EvaluationError(f"{type(error).__name__}: {error}") from error


def _no() -> NoReturn:
    raise EvaluationError("the fast variant gives up")  # never seen: the exact one decides


def _step(steps: Steps, name: str) -> Sequence[Event]:
    """The events of a step; none if it has taken none."""
    return [] if steps is None else steps.get(name, [])


def _value(given: Values, name: str) -> Any:
    if given is None or name not in given:
        raise EvaluationError(f"no value {name!r}")
    return given[name]


def _runtime() -> dict[str, Any]:
    helpers = {function.helper for function in CALLABLE.values() if function.helper}
    wanted = {*helpers, *MACROS.values(), *_ALWAYS}
    found = {name: vars(module)[name] for module in _MODULES for name in wanted & {*vars(module)}}
    found["contains"] = values.contains
    plain: dict[str, Callable[..., Any]] = {
        kind.__name__: kind for kind in (int, float, str, bytes, bool, list, dict)
    }
    own = {"no": _no, "fail": _fail, "step": _step, "given": _value, "export": export, "len": len}
    infinite = {"nan": float("nan"), "inf": float("inf")}
    return {**found, **plain, **own, **infinite, "__builtins__": {}}


RUNTIME = _runtime()
