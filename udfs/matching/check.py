"""Rule dictionaries to checked rules: every fault with its path and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from udfs.errors import Fault
from udfs.matching.shape import shape_faults
from udfs.matching.spec import RuleSpec, Skip, StepSpec, Then
from udfs.matching.steps import Steps, duration_of
from udfs.slices import Work, finish

DEFAULT_MAX_RUNS: Final = 1_000
"""Partial matches a user may have of one rule in a job: bounds state and time per event."""


Checked: TypeAlias = tuple[list[RuleSpec | None], list[Fault]]
"""One entry a rule, None where nothing can be made of it; and all the faults."""


def check_rules(
    rules: Sequence[Mapping[str, Any]],
    where: str = "rules",
    default_max_runs: int | None = DEFAULT_MAX_RUNS,
) -> Checked:
    """Do `checking` in one go."""
    return finish(checking(rules, where, default_max_runs))


def checking(
    rules: Sequence[Mapping[str, Any]],
    where: str = "rules",
    default_max_runs: int | None = DEFAULT_MAX_RUNS,
) -> Work[Checked]:
    """Check rules and fill in defaults, a rule at a time.

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
        found, mended = shape_faults(rule, place)
        # What has a good shape is checked on, so that all faults are told at once.
        spec = None if mended is None else _rule(mended, place, found, default_max_runs)
        if spec is not None:
            first = first_places.setdefault(spec.name, place)
            if first != place and spec.name:
                problem = f"the rule {spec.name!r} is already at {first}"
                found.append(Fault(f"{place}.rule", problem, "give every rule its own name"))
        specs.append(spec)
        faults += found
        yield
    return specs, faults


def _rule(
    rule: Mapping[str, Any], where: str, faults: list[Fault], default_max_runs: int | None
) -> RuleSpec:
    """Give the rule; appends what the schema cannot say to `faults`."""
    reader = Steps(faults)
    steps = reader.read(rule["pattern"], f"{where}.pattern")
    place = f"{where}.pattern[{len(steps) - 1}]"
    _check_end(steps[-1], place, faults, has_window="within" in rule)
    within_ms = duration_of(rule, "within", where, faults)
    timeouts = rule.get("timeouts", False)
    if timeouts and "within" not in rule and not reader.limited:
        cure = "give 'within', or leave 'timeouts' out"
        faults.append(Fault(f"{where}.timeouts", "time-outs need a window", cure))
    if rule.get("state") == "finish_old" and "within" not in rule:
        problem = "old runs finish when their window has passed, and this rule has none"
        faults.append(Fault(f"{where}.state", problem, "give 'within', or leave 'state' out"))
    fuse = rule.get("max_matches_per_minute")
    max_runs = rule.get("max_runs", default_max_runs)
    skip, skip_step = _skip(rule.get("after_match", "no_skip"), steps, where, faults)
    return RuleSpec(
        name=rule["rule"],
        version=int(rule["version"]),
        priority=int(rule.get("priority", 0)),
        steps=steps,
        within_ms=within_ms,
        skip=skip,
        skip_step=skip_step,
        timeouts=timeouts,
        max_runs=None if max_runs is None else int(max_runs),
        drop_oldest=rule.get("on_overflow", "drop_oldest") == "drop_oldest",
        shadow=rule.get("mode") == "shadow",
        fuse=None if fuse is None else int(fuse),
        finish_old=rule.get("state") == "finish_old",
    )


def _check_end(last: StepSpec, where: str, faults: list[Fault], *, has_window: bool) -> None:
    if last.then is Then.NOT_FOLLOWED_BY and not has_window and last.gap_max_ms is None:
        problem = "an absence at the end needs a window: it is known when the window has passed"
        faults.append(Fault(f"{where}.then", problem, "give the rule 'within'"))


def _skip(
    value: str | Mapping[str, str], steps: tuple[StepSpec, ...], where: str, faults: list[Fault]
) -> tuple[Skip, str | None]:
    if isinstance(value, str):
        return Skip(value), None
    [(kind, name)] = value.items()
    named = {step.name: step for step in steps if step.name and not step.steps}
    target = named.get(name)
    if target is None or target.then.negative:
        why = "that step is never part of a match"
        if target is None:
            inside = any(name == leaf.name for step in steps for leaf in step.leaves())
            why = "that step is inside a group" if inside else "there is no such step"
        names = ", ".join(name for name, step in named.items() if not step.then.negative)
        cure = f"name one of {names}" if names else "choose another strategy"
        faults.append(Fault(f"{where}.after_match.{kind}", f"{name!r}: {why}", cure))
    return Skip(kind), name
