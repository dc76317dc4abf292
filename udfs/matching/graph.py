"""A compiled machine as a graph: a value to look at or to draw, and its Mermaid text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.events.durations import format_duration
from udfs.matching.automaton import Action, Kind, State
from udfs.matching.spec import Skip
from udfs.matching.wording import ANYTHING, words

if TYPE_CHECKING:
    from udfs.matching.logic import Formula
    from udfs.matching.machine import Machine
    from udfs.matching.predicates import Predicate
    from udfs.matching.rule import CompiledRule

NAMED: Final = 30
"""Longest condition that is repeated in words where it must not hold; longer ones are named."""


class Box(msgspec.Struct, frozen=True):
    """A state.

    Args:
        index: Its number in the rule.
        name: As the machine calls it.
        kind: ``start``, ``state``, ``pending``, ``final`` or ``stop``.
        note: Its time limit, or what it means to stand here.
    """

    index: int
    name: str
    kind: str
    note: str


class Arrow(msgspec.Struct, frozen=True):
    """A move.

    Args:
        source: Number of a state.
        target: Number of a state.
        action: ``take``, ``ignore`` or ``proceed`` (which costs no event).
        label: What must hold, in words of the DSL; empty for nothing.
    """

    source: int
    target: int
    action: str
    label: str


class RuleGraph(msgspec.Struct, frozen=True):
    """One rule.

    Args:
        name: Its name.
        title: Name, version, window and strategies.
        boxes: States that a run can come to, the start first.
        arrows: Their moves, in the machine's order.
    """

    name: str
    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


class Graph(msgspec.Struct, frozen=True):
    """All rules of a machine.

    Args:
        rules: In order.
        shared: Conditions that several rules ask: mark, words, names of the rules.
    """

    rules: tuple[RuleGraph, ...]
    shared: tuple[tuple[str, str, tuple[str, ...]], ...]


def graph_of(machine: Machine) -> Graph:
    """Give the graph of a machine; each distinct condition is asked once, so shared ones show.

    Args:
        machine: Compiled.
    """
    rules = [rule for rule in machine.rules if not rule.finishing]
    users: dict[int, dict[str, None]] = {}
    for rule in rules:
        for predicate in _predicates(rule):
            users.setdefault(predicate.index, {})[rule.name] = None
    marks: dict[int, str] = {}
    shared = []
    for predicate in machine.predicates:
        names = users.get(predicate.index, {})
        if len(names) > 1:
            mark = marks[predicate.index] = f"[{len(marks) + 1}]"
            shared.append((mark, words(predicate), tuple(names)))
    return Graph(tuple(_rule_graph(rule, marks) for rule in rules), tuple(shared))


def _predicates(rule: CompiledRule) -> Iterator[Predicate]:
    for state in _reached(rule):
        for edge in state.edges:
            for conjunction in edge.needs:
                for predicate, _ in conjunction:
                    yield predicate


def _reached(rule: CompiledRule) -> list[State]:
    """Give the states to which edges lead, the start first; copies that nothing uses are left."""
    found = {rule.start: None}
    waiting = [rule.start]
    while waiting:
        for edge in waiting.pop(0).edges:
            if edge.target not in found and edge.needs:
                found[edge.target] = None
                waiting.append(edge.target)
    return list(found)


def _rule_graph(rule: CompiledRule, marks: dict[int, str]) -> RuleGraph:
    states = _reached(rule)
    names = _names(rule, states)
    arrows = []
    for state in states:
        for edge in state.edges:
            if not edge.needs or (state.kind is Kind.STOP and edge.target is state):
                continue
            label = _label(edge.needs, names, marks)
            arrow = Arrow(state.index, edge.target.index, edge.action.name.lower(), label)
            if arrow not in arrows:
                arrows.append(arrow)
    boxes = tuple(_box(state, rule) for state in states)
    return RuleGraph(rule.name, _title(rule), boxes, tuple(arrows))


def _title(rule: CompiledRule) -> str:
    spec = rule.spec
    parts = [f"{spec.name} version {spec.version}"]
    if spec.within_ms is not None:
        parts.append(f"within {format_duration(spec.within_ms)}")
    if spec.skip is not Skip.NONE:
        parts.append(spec.skip.value + (f" {spec.skip_step}" if spec.skip_step else ""))
    if spec.timeouts:
        parts.append("timeouts")
    if spec.max_runs is not None:
        parts.append(f"max_runs {spec.max_runs}")
    return " · ".join(parts)


def _box(state: State, rule: CompiledRule) -> Box:
    notes = []
    if state.kind is Kind.PENDING:
        notes.append("a match when its time has passed")
    if state.gap_ms is not None:
        notes.append(f"at most {format_duration(state.gap_ms)} since the last event")
    if state.kind is Kind.STOP:
        notes.append("the run is gone")
    kind = "start" if state is rule.start else state.kind.name.lower()
    name = "match" if state.kind is Kind.FINAL else state.name
    return Box(state.index, name, "state" if kind == "normal" else kind, ", ".join(notes))


def _names(rule: CompiledRule, states: Sequence[State]) -> dict[int, str]:
    """Give conditions the name of the step that takes by them, the others that of their words."""
    names: dict[int, str] = {}
    for state in states:
        for edge in state.edges:
            if edge.action is not Action.TAKE:
                continue
            for conjunction in edge.needs:
                for predicate, wanted in conjunction:
                    if wanted and state.step >= 0:
                        names.setdefault(predicate.index, rule.step_names[state.step])
    return names


def _label(needs: Formula, names: dict[int, str], marks: dict[int, str]) -> str:
    alternatives = []
    for conjunction in needs:
        parts = []
        for predicate, wanted in conjunction:
            text = words(predicate)
            if not wanted:
                text = _refused(predicate, text, names)
            mark = marks.get(predicate.index)
            parts.append(f"{text} {mark}" if mark else text)
        # What must hold comes first, what must not behind it.
        parts.sort(key=lambda part: part.startswith("not "))
        alternatives.append(" and ".join(parts))
    return "" if alternatives == [""] else " or ".join(alternatives)


def _refused(predicate: Predicate, text: str, names: dict[int, str]) -> str:
    if text == ANYTHING:
        return "no event"
    if len(text) > NAMED and predicate.index in names:
        return f"not step {names[predicate.index]}"
    return f"not ({text})" if " " in text else f"not {text}"


_LINES: Final = {"take": "==>", "ignore": "-.->", "proceed": "-->"}
_SHAPES: Final = {
    "start": ("([", "])"),
    "state": ("(", ")"),
    "pending": ("{{", "}}"),
    "final": ("(((", ")))"),
    "stop": ("[/", "\\]"),
}


def mermaid(graph: Graph) -> str:
    """Give the text of a Mermaid flow chart, one sub-graph a rule.

    Args:
        graph: What to write.
    """
    lines = ["flowchart LR"]
    for number, rule in enumerate(graph.rules):
        lines.append(f'  subgraph r{number}["{_quoted(rule.title)}"]')
        lines.append("    direction LR")
        for box in rule.boxes:
            before, after = _SHAPES[box.kind]
            text = _quoted(box.name) + (f"<br/>{_quoted(box.note)}" if box.note else "")
            lines.append(f'    r{number}s{box.index}{before}"{text}"{after}')
        for arrow in rule.arrows:
            text = _quoted(f"{arrow.action} {arrow.label}".rstrip())
            line = f'{_LINES[arrow.action]}|"{text}"|'
            lines.append(f"    r{number}s{arrow.source} {line} r{number}s{arrow.target}")
        lines.append("  end")
    for number, (mark, text, names) in enumerate(graph.shared):
        told = _quoted(f"{mark} {text}: {', '.join(names)}")
        lines.append(f'  shared{number}["{told}"]')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Give a text with everything but plain characters as entities, which Mermaid decodes."""
    plain = " .,_-+=!?*'@·()[]/:|"
    return "".join(
        one if one.isalnum() or one in plain else f"#{ord(one)};" for one in " ".join(text.split())
    )
