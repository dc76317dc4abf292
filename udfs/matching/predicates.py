"""The conditions of all rules, each distinct one once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from udfs.errors import ExpressionInvalid, Fault
from udfs.events.event import Event
from udfs.expressions.ladder import Comparison, comparison_of

Steps: TypeAlias = Mapping[str, list[Event]]
"""The events that a run has taken so far, by step."""

Condition: TypeAlias = Callable[[Event, Steps | None, None], bool]
"""A compiled ``where``; the last argument is there because expressions have it."""


class Compiled(msgspec.Struct, frozen=True):
    """A ``where`` text made callable.

    Args:
        condition: Never raises.
        steps_used: Earlier steps that it reads.
        errors: How often its outcome was an error so far.
    """

    condition: Condition
    steps_used: frozenset[str]
    errors: Callable[[], int] = lambda: 0


class Compiler(Protocol):
    """Makes a ``where`` text callable; the seam between matching and expressions."""

    def __call__(self, text: str, steps: tuple[str, ...], where: str) -> Compiled:
        """Compile.

        Raises:
            ExpressionInvalid: With every fault of the text.
        """


class Predicate(msgspec.Struct, frozen=True, eq=False):
    """An event type test and a condition; both must hold.

    Args:
        index: Its number in the machine.
        types: None for all.
        condition: None for none.
        steps_used: Steps of the run that the condition reads.
    """

    index: int
    types: frozenset[str] | None
    condition: Condition | None
    steps_used: tuple[str, ...]
    gap: tuple[int, int] | None = None
    """A step and the shortest time, ms, since the last event of another step, if there is any."""
    comparison: Comparison | None = None
    """What the condition is, if it is nothing but the comparison of a property with a number."""
    text: str | None = None
    """The condition as it was written."""

    @property
    def of_run(self) -> bool:
        """Whether the outcome depends on what a run has taken."""
        return bool(self.steps_used) or self.gap is not None

    def may_hold(self, event_type: str | None) -> bool:
        """Whether an event of this type can fulfil it; None stands for a type never named."""
        return self.types is None or event_type in self.types


class PredicateTable:
    """Interns predicates, so that each distinct one is evaluated once per event."""

    def __init__(self, compiler: Compiler) -> None:
        self.predicates: list[Predicate] = []
        self._compiler = compiler
        self._known: dict[object, Predicate] = {}
        self._compiled: dict[object, Compiled] = {}

    def errors(self) -> Callable[[], int]:
        """Give a function that adds up the errors of all conditions."""
        counts = [compiled.errors for compiled in self._compiled.values()]
        return lambda: sum(count() for count in counts)

    def intern(
        self,
        types: tuple[str, ...] | None,
        text: str | None,
        steps: tuple[str, ...],
        where: str,
        faults: list[Fault],
        gap: tuple[int, int] | None = None,
    ) -> Predicate | None:
        """Give the predicate; appends the faults of its text and gives None if it has any.

        Args:
            types: Event types, None for all.
            text: CEL, None for no condition.
            steps: Steps that the text may name.
            where: JSON path of the text.
            faults: Where faults go.
            gap: See `Predicate`.
        """
        compiled = None
        try:
            compiled = None if text is None else self._compile(text, steps, where)
        except ExpressionInvalid as error:
            faults += error.faults
            return None
        # The same text means the same in every rule unless it reads the rule's own steps.
        scope = steps if compiled is not None and compiled.steps_used else ()
        key = (None if types is None else frozenset(types), text, scope, gap)
        predicate = self._known.get(key)
        if predicate is None:
            predicate = self._known[key] = Predicate(
                len(self.predicates),
                key[0],
                None if compiled is None else compiled.condition,
                () if compiled is None else tuple(sorted(compiled.steps_used)),
                gap,
                comparison_of(text) if gap is None else None,
                text,
            )
            self.predicates.append(predicate)
        return predicate

    def _compile(self, text: str, steps: tuple[str, ...], where: str) -> Compiled:
        compiled = self._compiled.get(text) or self._compiled.get((text, steps))
        if compiled is None:
            compiled = self._compiler(text, steps, where)
            self._compiled[(text, steps) if compiled.steps_used else text] = compiled
        return compiled
