"""Rule dictionaries to checked rules: every fault with its path and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from udfs.errors import Fault
from udfs.events.durations import parse_duration
from udfs.events.event import Event
from udfs.expressions.limits import RESERVED
from udfs.matching.spec import INNER, RuleSpec, Skip, StepSpec, Then, Times
from udfs.schemas import json_path, validator

# Read at import: the folder that the code was shipped to may be gone later.
_SCHEMA: Final = validator("udfs.matching", "rule.schema.json")

DEFAULT_MAX_RUNS: Final = 1_000
"""Partial matches a user may have of one rule in a job: bounds state and time per event."""

MAX_STATES: Final = 400
"""Repeats of all steps of one rule together: bounds the size of the compiled machine."""

_EVENT_FIELDS: Final = frozenset(Event.__struct_fields__)


def check_rules(
    rules: Sequence[Mapping[str, Any]],
    where: str = "rules",
    default_max_runs: int | None = DEFAULT_MAX_RUNS,
) -> tuple[list[RuleSpec | None], list[Fault]]:
    """Check rules and fill in defaults.

    Args:
        rules: As decoded from JSON.
        where: JSON path of the list.
        default_max_runs: Cap of rules that name none; None for no cap.

    Returns:
        One entry a rule, None where nothing can be made of it; and all the faults. With
        faults the rules are good only for looking for more.
    """
    if isinstance(rules, (str, bytes, Mapping)) or not isinstance(rules, Sequence):
        problem = f"the rules are {type(rules).__name__}, not a list"
        return [], [Fault(where, problem, "write a list of rules")]
    specs: list[RuleSpec | None] = []
    faults: list[Fault] = []
    first_places: dict[str, str] = {}
    for index, rule in enumerate(rules):
        place = f"{where}[{index}]"
        found, mended = _shape_faults(rule, place)
        # What has a good shape is checked on, so that all faults are told at once.
        spec = None if mended is None else _rule(mended, place, found, default_max_runs)
        if spec is not None:
            first = first_places.setdefault(spec.name, place)
            if first != place and spec.name:
                problem = f"the rule {spec.name!r} is already at {first}"
                found.append(Fault(f"{place}.rule", problem, "give every rule its own name"))
        specs.append(spec)
        faults += found
    return specs, faults


def _shape_faults(rule: Any, where: str) -> tuple[list[Fault], Mapping[str, Any] | None]:
    """Give the faults that the JSON Schema finds, in words of the DSL, and the rule without them.

    The rule is itself if it has no fault, None if nothing can be made of it.
    """
    faults = []
    bad: set[tuple[str | int, ...]] = set()
    for error in _SCHEMA.iter_errors(rule):
        path = tuple(error.absolute_path)
        place = json_path(where, path)
        schema = error.schema
        cure = schema.get("description", "see udfs/matching/rule.schema.json")
        if error.validator == "additionalProperties":
            known = list(schema["properties"])
            for key in error.instance:
                if key not in schema["properties"]:
                    bad.add((*path, key))
                    near = difflib.get_close_matches(str(key)[:100], known, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                    faults.append(Fault(f"{place}.{str(key)[:100]}", "unknown key", hint))
        elif error.validator == "required":
            for key in error.validator_value:
                if key not in error.instance:
                    bad.add((*path, key))
                    cure = _described(schema["properties"][key])
                    faults.append(Fault(f"{place}.{key}", "missing", cure))
        else:
            bad.add(path)
            problem = f"{_shown(error.instance)} is not allowed here"
            if error.validator == "not":
                problem = f"{path[-1]!r} is not supported yet"
            faults.append(Fault(place, problem, cure))
    if not faults:
        return [], rule
    # A value that is wrong in two ways is one fault.
    faults = sorted(dict.fromkeys(faults), key=lambda fault: fault.where)
    hopeless = bad & {(), ("pattern",)}
    return faults, None if hopeless else _mended(rule, bad)


def _described(schema: Mapping[str, Any]) -> str:
    """Give the description of a key that must be there."""
    return str(schema["description"])


def _mended(rule: Mapping[str, Any], bad: set[tuple[str | int, ...]]) -> dict[str, Any]:
    """Give a rule with harmless values in place of the bad ones."""
    harmless = {"rule": "", "version": 1, "within": "1d", "times": 2}

    def mend(value: Mapping[str, Any], *path: str | int) -> dict[str, Any]:
        names = {inner[len(path)] for inner in bad if inner[: len(path)] == path != inner}
        good = {key: item for key, item in value.items() if key not in names}
        return good | {key: item for key, item in harmless.items() if key in names}

    mended = mend(rule)
    mended["pattern"] = []
    for index, step in enumerate(rule["pattern"]):
        good = {} if ("pattern", index) in bad else mend(step, "pattern", index)
        mended["pattern"].append({"step": f"step_{index}_", **good})
    return mended


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - fits one line


def _rule(
    rule: Mapping[str, Any], where: str, faults: list[Fault], default_max_runs: int | None
) -> RuleSpec:
    """Give the rule; appends what the schema cannot say to `faults`."""
    steps = []
    for index, step in enumerate(rule["pattern"]):
        steps.append(_step(step, index == 0, f"{where}.pattern[{index}]", faults))
    _check_order(steps, where, faults, has_window="within" in rule)
    within_ms = None
    if "within" in rule:
        try:
            within_ms = parse_duration(rule["within"])
        except ValueError as error:
            faults.append(Fault(f"{where}.within", str(error), 'for example "30m"'))
    timeouts = rule.get("timeouts", False)
    if timeouts and "within" not in rule:
        cure = "give 'within', or leave 'timeouts' out"
        faults.append(Fault(f"{where}.timeouts", "time-outs need a window", cure))
    max_runs = rule.get("max_runs", default_max_runs)
    skip, skip_step = _skip(rule.get("after_match", "no_skip"), steps, where, faults)
    return RuleSpec(
        name=rule["rule"],
        version=int(rule["version"]),
        priority=int(rule.get("priority", 0)),
        steps=tuple(steps),
        within_ms=within_ms,
        skip=skip,
        skip_step=skip_step,
        timeouts=timeouts,
        max_runs=None if max_runs is None else int(max_runs),
        drop_oldest=rule.get("on_overflow", "drop_oldest") == "drop_oldest",
    )


def _step(step: Mapping[str, Any], first: bool, where: str, faults: list[Fault]) -> StepSpec:  # noqa: FBT001 - a private helper
    name = step["step"]
    if name in _EVENT_FIELDS or name in RESERVED:
        problem = f"{name!r} means something else in expressions"
        faults.append(Fault(f"{where}.step", problem, "choose another name"))
    then = Then(step.get("then", "followed_by"))
    if first and "then" in step:
        cure = "leave 'then' out"
        faults.append(Fault(f"{where}.then", "nothing comes before the first step", cure))
    if then.negative:
        for key in ("times", "inner", "optional"):
            if step.get(key, False) is not False:
                problem = f"a {then.value} step cannot have {key!r}"
                faults.append(Fault(f"{where}.{key}", problem, f"leave {key!r} out"))
    if "inner" in step and "times" not in step:
        problem = "'inner' is about repeats, and this step has none"
        faults.append(Fault(f"{where}.inner", problem, "give 'times', or leave 'inner' out"))
    times, may_be_absent = _times(step.get("times"), where, faults)
    types = step.get("event")
    return StepSpec(
        name=name,
        then=then,
        types=None if types is None else (types,) if isinstance(types, str) else tuple(types),
        where=step.get("where"),
        times=times,
        inner=INNER[step.get("inner", "relaxed")],
        optional=may_be_absent or step.get("optional", False),
    )


def _times(value: float | str | None, where: str, faults: list[Fault]) -> tuple[Times | None, bool]:
    """Give the repeats, and whether none at all will do (``"0..3"``)."""
    if value is None:
        return None, False
    text = value if isinstance(value, str) else str(int(value))
    if text.endswith("+"):
        return Times(int(text[:-1]), None), False
    least, _, most = text.partition("..")
    times = Times(max(1, int(least)), int(most or least))
    if times.most is not None and int(least) > times.most:
        problem = f"{value!r}: from {int(least)} is more than to {times.most}"
        faults.append(Fault(f"{where}.times", problem, 'write the smaller first, as in "2..5"'))
    return times, int(least) == 0


def _check_order(
    steps: list[StepSpec], where: str, faults: list[Fault], *, has_window: bool
) -> None:
    """Append faults of steps that do not go together."""
    first_places: dict[str, str] = {}
    for index, step in enumerate(steps):
        place = f"{where}.pattern[{index}]"
        first = first_places.setdefault(step.name, place)
        if first != place:
            problem = f"the step {step.name!r} is already at {first}"
            faults.append(Fault(f"{place}.step", problem, "give every step its own name"))
        if index and step.then.negative and steps[index - 1].optional:
            problem = f"a {step.then.value} step cannot come right after an optional one"
            cure = "make the step before it obligatory, or write two rules"
            faults.append(Fault(f"{place}.then", problem, cure))
    if steps[-1].then is Then.NOT_FOLLOWED_BY and not has_window:
        place = f"{where}.pattern[{len(steps) - 1}].then"
        problem = "an absence at the end needs a window: it is known when the window has passed"
        faults.append(Fault(place, problem, "give the rule 'within'"))
    states = sum(max(step.times.least, step.times.most or 0) if step.times else 1 for step in steps)
    if states > MAX_STATES:
        problem = f"the repeats of all steps add up to {states}"
        faults.append(Fault(f"{where}.pattern", problem, f"stay below {MAX_STATES} in one rule"))


def _skip(
    value: str | Mapping[str, str], steps: list[StepSpec], where: str, faults: list[Fault]
) -> tuple[Skip, str | None]:
    if isinstance(value, str):
        return Skip(value), None
    [(kind, name)] = value.items()
    target = next((step for step in steps if step.name == name), None)
    if target is None or target.then.negative:
        why = "there is no such step" if target is None else "that step is never part of a match"
        cure = f"name one of {', '.join(step.name for step in steps if not step.then.negative)}"
        faults.append(Fault(f"{where}.after_match.{kind}", f"{name!r}: {why}", cure))
    return Skip(kind), name
