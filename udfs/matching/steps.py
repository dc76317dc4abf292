"""What the JSON Schema cannot say about steps: Flink's rejections, and loops without an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from udfs.errors import Fault
from udfs.events.durations import parse_duration
from udfs.events.event import Event
from udfs.expressions.limits import RESERVED
from udfs.matching.spec import INNER, StepSpec, Then, Times

MAX_STATES: Final = 400
"""Repeats of all steps of one rule together: bounds the size of the compiled machine."""

_EVENT_FIELDS: Final = frozenset(Event.__struct_fields__)
_NOT_OF_GROUPS: Final = ("event", "where", "greedy", "gap")
_NOT_OF_ABSENCES: Final = ("times", "inner", "optional", "greedy", "until", "repeat_within")


def duration_of(value: Mapping[str, Any], key: str, where: str, faults: list[Fault]) -> int | None:
    """Give a duration in ms, None if the key is absent or its text is at fault."""
    if key not in value:
        return None
    try:
        return parse_duration(value[key])
    except ValueError as error:
        faults.append(Fault(f"{where}.{key}", str(error), 'for example "30m"'))
        return None


class Steps:
    """Reads the steps of one rule; `faults` grows."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._places: dict[str, str] = {}
        self.limited = False
        """Whether any step has a time limit of its own."""

    def read(self, steps: Sequence[Mapping[str, Any]], where: str) -> tuple[StepSpec, ...]:
        """Give the checked steps of a whole pattern.

        Args:
            steps: Of good shape.
            where: JSON path of the list.
        """
        found = self._level(steps, where, outermost=True)
        states = sum(map(_states, found))
        if states > MAX_STATES:
            problem = f"the repeats of all steps add up to {states}"
            self._fault(where, problem, f"stay below {MAX_STATES} in one rule")
        return found

    def _fault(self, where: str, problem: str, cure: str) -> None:
        self._faults.append(Fault(where, problem, cure))

    def _level(
        self, steps: Sequence[Mapping[str, Any]], where: str, *, outermost: bool
    ) -> tuple[StepSpec, ...]:
        found: list[StepSpec] = []
        for index, step in enumerate(steps):
            place = f"{where}[{index}]"
            if not index:
                self._check_first(step, place, outermost=outermost)
            spec = self._step(step, place)
            if found:
                self._check_pair(found[-1], spec, step, place)
            found.append(spec)
        return tuple(found)

    def _check_first(self, step: Mapping[str, Any], where: str, *, outermost: bool) -> None:
        if "then" in step:
            cure = "leave 'then' out" if outermost else "give 'then' to the group"
            self._fault(f"{where}.then", "nothing comes before the first step", cure)
        if outermost and "min" in step.get("gap", {}):
            problem = "nothing comes before the first step"
            self._fault(f"{where}.gap.min", problem, "leave 'gap' out")

    def _check_pair(
        self, before: StepSpec, spec: StepSpec, step: Mapping[str, Any], where: str
    ) -> None:
        """Check a step against the one before it."""
        if spec.then.negative and before.optional:
            problem = f"a {spec.then.value} step cannot come right after an optional one"
            cure = "make the step before it obligatory, or write two rules"
            self._fault(f"{where}.then", problem, cure)
        if before.greedy and step.get("optional", False):
            problem = "an optional step cannot come right after a greedy one"
            cure = "leave 'optional' out, or 'greedy' of the step before"
            self._fault(f"{where}.optional", problem, cure)

    def _step(self, step: Mapping[str, Any], where: str) -> StepSpec:
        then = Then(step.get("then", "followed_by"))
        times, may_be_absent = self._times(step, where)
        inner: tuple[StepSpec, ...] = ()
        if "step" in step:
            self._check_name(step["step"], where)
        if then.negative:
            self._refuse(step, _NOT_OF_ABSENCES, f"a {then.value} step", where)
        if "steps" in step:
            inner = self._group(step, then, times, where)
        if not then.negative:
            self._check_repeats(step, times, where)
        if may_be_absent and step.get("optional", False):
            problem = f"times {step['times']!r} already says so"
            self._fault(f"{where}.optional", problem, "leave 'optional' out")
        gap = step.get("gap", {})
        gap_max_ms = duration_of(gap, "max", f"{where}.gap", self._faults)
        repeat_within_ms = duration_of(step, "repeat_within", where, self._faults)
        self.limited |= gap_max_ms is not None or repeat_within_ms is not None
        types = step.get("event")
        return StepSpec(
            name=step.get("step", ""),
            then=then,
            types=None if types is None else (types,) if isinstance(types, str) else tuple(types),
            where=step.get("where"),
            times=times,
            inner=INNER[step.get("inner", "relaxed")],
            optional=may_be_absent or step.get("optional", False),
            greedy=step.get("greedy", False),
            until=step.get("until"),
            repeat_within_ms=repeat_within_ms,
            gap_max_ms=gap_max_ms,
            gap_min_ms=duration_of(gap, "min", f"{where}.gap", self._faults),
            steps=inner,
        )

    def _group(
        self, step: Mapping[str, Any], then: Then, times: Times | None, where: str
    ) -> tuple[StepSpec, ...]:
        self._refuse(step, _NOT_OF_GROUPS, "a group", where)
        if then.negative:
            problem = "a group cannot be absent"
            self._fault(f"{where}.then", problem, "only single steps can be absent")
        inner = self._level(step["steps"], f"{where}.steps", outermost=False)
        if times is not None and times.most is None and all(map(_may_be_empty, inner)):
            problem = "a loop whose steps may all be left out would never end"
            self._fault(f"{where}.steps", problem, "make one of its steps obligatory")
        return inner

    def _refuse(self, step: Mapping[str, Any], keys: Sequence[str], what: str, where: str) -> None:
        for key in keys:
            if step.get(key, False) is not False:
                self._fault(f"{where}.{key}", f"{what} cannot have {key!r}", f"leave {key!r} out")

    def _check_name(self, name: str, where: str) -> None:
        if name in _EVENT_FIELDS or name in RESERVED:
            problem = f"{name!r} means something else in expressions"
            self._fault(f"{where}.step", problem, "choose another name")
        first = self._places.setdefault(name, where)
        if first != where:
            problem = f"the step {name!r} is already at {first}"
            self._fault(f"{where}.step", problem, "give every step its own name")

    def _check_repeats(self, step: Mapping[str, Any], times: Times | None, where: str) -> None:
        if times is None:
            for key in ("inner", "repeat_within"):
                if key in step:
                    problem = f"{key!r} is about repeats, and this step has none"
                    self._fault(f"{where}.{key}", problem, f"give 'times', or leave {key!r} out")
        if "until" in step and (times is None or times.most is not None):
            problem = "'until' ends repeats without an upper bound"
            self._fault(f"{where}.until", problem, "give 'times' as in \"1+\", or leave it out")
        if step.get("greedy", False) and "steps" not in step:
            if times is None:
                problem = "'greedy' is about repeats, and this step has none"
                self._fault(f"{where}.greedy", problem, "give 'times', or leave 'greedy' out")
            elif step.get("inner") == "combinations":
                problem = "a step of combinations cannot be greedy"
                self._fault(f"{where}.greedy", problem, "choose another 'inner', or leave it out")

    def _times(self, step: Mapping[str, Any], where: str) -> tuple[Times | None, bool]:
        """Give the repeats, and whether none at all will do (``"0..3"``)."""
        value = step.get("times")
        if value is None:
            return None, False
        text = value if isinstance(value, str) else str(int(value))
        if text.endswith("+"):
            return Times(int(text[:-1]), None), False
        least, _, most = text.partition("..")
        times = Times(max(1, int(least)), int(most or least))
        if times.most is not None and int(least) > times.most:
            problem = f"{value!r}: from {int(least)} is more than to {times.most}"
            self._fault(f"{where}.times", problem, 'write the smaller first, as in "2..5"')
        return times, int(least) == 0


def _states(spec: StepSpec) -> int:
    """How many repeats of single steps a step or group stands for, roughly its states."""
    repeats = max(spec.times.least, spec.times.most or 0) if spec.times else 1
    if not spec.steps:
        return repeats
    # A loop of a group has one more round than it has to.
    rounds = repeats + 1 if spec.times and spec.times.most is None else repeats
    return rounds * sum(map(_states, spec.steps))


def _may_be_empty(spec: StepSpec) -> bool:
    if spec.optional or spec.then.negative:
        return True
    return bool(spec.steps) and all(map(_may_be_empty, spec.steps))
