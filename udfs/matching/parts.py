"""The steps of a rule with their predicates, linked as Flink links its patterns: backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.matching.logic import TRUE, Formula, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.errors import Fault
    from udfs.matching.predicates import PredicateTable
    from udfs.matching.spec import RuleSpec, StepSpec

GROUP = "GroupPattern"
"""What Flink calls all groups; the names of states begin with it."""


class Part:
    """A step or a group.

    Args:
        spec: What was asked for.
        before: What comes before it on the same level.
        place: Its JSON path.
    """

    __slots__ = ("before", "last", "number", "place", "spec", "taken", "until")

    def __init__(self, spec: StepSpec, before: Part | None, place: str) -> None:
        self.spec = spec
        self.before = before
        self.place = place
        self.last: Part | None = None
        """Of a group: its last part."""
        self.number = -1
        """Of a step: its index among all steps."""
        self.taken: Formula = TRUE
        """Of a step: what an event must be to be taken."""
        self.until: Formula | None = None

    @property
    def name(self) -> str:
        """What the names of its states begin with."""
        return GROUP if self.last is not None else self.spec.name


class _Linker:
    """Makes the parts of one rule; `faults` grows."""

    def __init__(self, table: PredicateTable, faults: list[Fault]) -> None:
        self._table = table
        self._faults = faults
        self._count = 0
        self._earlier: list[str] = []

    def link(self, steps: Sequence[StepSpec], where: str, around: tuple[str, ...]) -> Part | None:
        """Give the last part.

        Args:
            steps: Of one level.
            where: JSON path of the list.
            around: Steps of the repeated groups around: an earlier round may have taken them.
        """
        part: Part | None = None
        for position, spec in enumerate(steps):
            place = f"{where}[{position}]"
            part = Part(spec, part, place)
            if spec.steps:
                repeated = spec.times is not None
                names = tuple(leaf.name for leaf in spec.leaves() if not leaf.then.negative)
                part.last = self.link(
                    spec.steps, f"{place}.steps", (*around, *names) if repeated else around
                )
                self._until(part, around, place)
                continue
            part.number = self._count
            self._count += 1
            # A repeated step may look at its own earlier repeats.
            own = (spec.name,) if spec.times else ()
            self._taken(part, (*own, *around), place)
            self._until(part, (*own, *around), place)
            if not spec.then.negative or not self._count:
                self._earlier.append(spec.name)
        return part

    def _visible(self, more: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._earlier, *more)))

    def _taken(self, part: Part, more: tuple[str, ...], place: str) -> None:
        spec = part.spec
        gap = None if spec.gap_min_ms is None else (part.number, spec.gap_min_ms)
        visible = self._visible(more)
        found = self._table.intern(
            spec.types, spec.where, visible, f"{place}.where", self._faults, gap
        )
        if found is not None:
            part.taken = literal(found)

    def _until(self, part: Part, more: tuple[str, ...], place: str) -> None:
        text = part.spec.until
        if text is None:
            return
        found = self._table.intern(None, text, self._visible(more), f"{place}.until", self._faults)
        if found is not None:
            part.until = literal(found)


def link(spec: RuleSpec, table: PredicateTable, where: str, faults: list[Fault]) -> Part | None:
    """Give the last part of a rule's pattern.

    Args:
        spec: The rule.
        table: Gets the predicates.
        where: JSON path of the rule.
        faults: Gets those of its expressions.
    """
    return _Linker(table, faults).link(spec.steps, f"{where}.pattern", ())
