"""Why a run does not take an event: the condition that refused, and the values it read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.errors import ExpressionInvalid
from udfs.events.durations import format_duration
from udfs.expressions import EvaluationError, Expression, Names, compile_expression
from udfs.matching.automaton import Kind
from udfs.matching.wording import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from udfs.events.event import Event
    from udfs.matching.automaton import Move, State
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Node

_LONGEST: Final = 120  # of a value: fits one line

_STRINGS: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_READS: Final = re.compile(
    r"(?<![\w.])(?:(?:first|last|size)\(\w+\)|[A-Za-z_]\w*(?:\[\d+\])?)"
    r"(?:\.[A-Za-z_]\w*(?!\w*\()(?:\[\d+\])?)*(?![\w(])"
)
"""What in a text may be read from the event or from a step; what does not compile is none."""


class Refusal(msgspec.Struct, frozen=True):
    """One step that did not take one event.

    Args:
        step: Which did not take it.
        event_id: The event.
        event_type: Its type.
        time: Rule time, ms.
        condition: What did not hold, in words of the DSL.
        why: ``false``, ``error: …``, or another reason in words.
        values: What the condition read, as JSON, by the text that reads it.
        of_type: Whether the event is of a type that the step takes at all.
    """

    step: str
    event_id: str
    event_type: str
    time: int
    condition: str
    why: str
    values: dict[str, str]
    of_type: bool


def told_of(refusal: Refusal) -> str:
    """Give a refusal in a line."""
    values = ", ".join(f"{text} = {value}" for text, value in refusal.values.items())
    told = f"{refusal.step} takes {refusal.condition}: {refusal.why}"
    return f"{told} ({values})" if values else told


class Judge:
    """Asks the conditions of one rule again, for reasons.

    Args:
        rule: Which.
        predicates: Those of its machine.
    """

    def __init__(self, rule: CompiledRule, predicates: Sequence[Predicate]) -> None:
        self._predicates = predicates
        self._step_names = rule.step_names
        taken = dict.fromkeys(leaf.name for leaf in rule.spec.leaves() if not leaf.then.negative)
        self._names = Names(event=True, steps=tuple(taken))
        self._expressions: dict[str, Expression] = {}
        self._reads: dict[str, tuple[Expression, ...]] = {}

    def refusals(self, state: State, node: Node | None, event: Event, now: int) -> list[Refusal]:
        """Give for every step that could be next why it did not take an event.

        Args:
            state: Where the run stands.
            node: What it has taken, None before the first.
            event: The event.
            now: Rule time, ms.
        """
        nearest: dict[int, tuple[int, Refusal]] = {}
        for move in state.moves:
            if not move.takes or move.target.kind is Kind.STOP:
                continue
            for position, (index, wanted) in enumerate(move.needs):
                holds, why, values, of_type = self._ask(self._predicates[index], node, event, now)
                if holds is wanted:
                    continue
                if position >= nearest.get(move.step, (-1,))[0]:
                    reason = why if wanted else "holds, and must not"
                    nearest[move.step] = (
                        position,
                        Refusal(
                            self._step_names[move.step],
                            event.event_id,
                            event.event_type,
                            now,
                            words(self._predicates[index]),
                            reason,
                            values,
                            of_type,
                        ),
                    )
                break
            else:
                nearest.pop(move.step, None)
        return [refusal for _, refusal in nearest.values()]

    def stops(self, state: State, node: Node | None, event: Event, now: int) -> Move | None:
        """Give the move by which an absence ends a run, None if none does."""
        for move in state.moves:
            if move.takes and move.target.kind is Kind.STOP:
                outcomes = (
                    self._ask(self._predicates[index], node, event, now)[0] is wanted
                    for index, wanted in move.needs
                )
                if all(outcomes):
                    return move
        return None

    def condition(self, move: Move) -> str:
        """Give what must hold for a move, in words."""
        return " and ".join(words(self._predicates[i]) for i, wanted in move.needs if wanted)

    def _ask(
        self, predicate: Predicate, node: Node | None, event: Event, now: int
    ) -> tuple[bool, str, dict[str, str], bool]:
        """Give outcome, reason, values read, and whether the type fits."""
        if predicate.types is not None and event.event_type not in predicate.types:
            return False, f"the event is {event.event_type}", {}, False
        if predicate.gap is not None:
            since = self._since(predicate.gap[0], node, now)
            if since is not None and since < predicate.gap[1]:
                why = f"only {format_duration(since)} since the step before"
                return False, why, {}, True
        text = predicate.text
        if text is None:
            return True, "true", {}, True
        steps = self._steps(node)
        expression = self._compiled(text)
        values = {read.text: _shown(_value(read, event, steps)) for read in self._read(text)}
        outcome = _value(expression, event, steps)
        if outcome is True or outcome is False:
            return outcome, "true" if outcome else "false", values, True
        why = str(outcome) if isinstance(outcome, _Failed) else f"{_shown(outcome)} is no bool"
        return False, f"error: {why}", values, True

    @staticmethod
    def _since(step: int, node: Node | None, now: int) -> int | None:
        while node is not None and node.step == step:
            node = node.before
        return None if node is None else now - node.entry.time

    def _steps(self, node: Node | None) -> dict[str, list[Event]]:
        steps: dict[str, list[Event]] = {name: [] for name in self._names.steps}
        while node is not None:
            steps[self._step_names[node.step]].append(node.entry.value())
            node = node.before
        for events in steps.values():
            events.reverse()
        return steps

    def _compiled(self, text: str) -> Expression:
        found = self._expressions.get(text)
        if found is None:
            found = self._expressions[text] = compile_expression(text, self._names)
        return found

    def _read(self, text: str) -> tuple[Expression, ...]:
        reads = self._reads.get(text)
        if reads is None:
            found = []
            for part in dict.fromkeys(_READS.findall(_STRINGS.sub("''", text))):
                if part in self._names.steps or part in ("true", "false", "null", "props"):
                    continue
                try:
                    found.append(self._compiled(part))
                except ExpressionInvalid:
                    continue  # a variable of a macro, or a function
            reads = self._reads[text] = tuple(found)
        return reads


class _Failed(str):
    """The text of an error, in place of a value."""

    __slots__ = ()


def _value(expression: Expression, event: Event, steps: dict[str, list[Event]]) -> Any:
    try:
        return expression.value(event, steps, None)
    except EvaluationError as error:
        return _Failed(error)


def _shown(value: Any) -> str:
    if isinstance(value, _Failed):
        text = f"error: {value}"
    else:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
