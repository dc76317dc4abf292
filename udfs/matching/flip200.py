"""Patterns of Flink's dynamic CEP (FLIP-200, as Alibaba and Ververica have it) as rules.

The JSON is a graph: nodes with a quantifier and a condition, edges with a contiguity, a window
and a skip strategy; a node may be such a graph itself. All that has no counterpart is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from udfs.errors import ConfigInvalid, Fault
from udfs.events.durations import MAX_MS, format_duration
from udfs.matching.aviator import literal
from udfs.matching.flip_conditions import Conditions
from udfs.matching.machine import Machine
from udfs.matching.shape import MAX_DEPTH

_THEN: Final = {
    "STRICT": "next",
    "SKIP_TILL_NEXT": "followed_by",
    "SKIP_TILL_ANY": "followed_by_any",
    "NOT_NEXT": "not_next",
    "NOT_FOLLOW": "not_followed_by",
}
_INNER: Final = {
    "STRICT": "consecutive",
    "SKIP_TILL_NEXT": "relaxed",
    "SKIP_TILL_ANY": "combinations",
}
_SKIP: Final = {
    "NO_SKIP": "no_skip",
    "SKIP_TO_NEXT": "skip_to_next",
    "SKIP_PAST_LAST_EVENT": "skip_past_last_event",
    "SKIP_TO_FIRST": "skip_to_first",
    "SKIP_TO_LAST": "skip_to_last",
}
_UNITS_MS: Final = {
    "MILLISECONDS": 1,
    "SECONDS": 1_000,
    "MINUTES": 60_000,
    "HOURS": 3_600_000,
    "DAYS": 86_400_000,
}
_PROPERTIES: Final = ("SINGLE", "LOOPING", "TIMES", "OPTIONAL", "GREEDY")
_WINDOWS: Final = ("FIRST_AND_LAST", "PREVIOUS_AND_CURRENT")


def to_rule(
    graph: Any, fields: Mapping[str, str], name: str | None = None, where: str = "$"
) -> tuple[dict[str, Any], list[Fault]]:
    """Translate a pattern.

    Args:
        graph: As decoded from JSON.
        fields: CEL for names in conditions; other names are properties.
        name: Of the rule, in place of the graph's.
        where: JSON path of the graph.

    Returns:
        The rule, and all the faults; with faults it is good for nothing.
    """
    import_ = _Import(fields, where)
    rule = import_.rule(graph, name)
    if not import_.faults:
        try:
            Machine.compile([rule])
        except ConfigInvalid as error:
            import_.faults += [import_.placed(fault) for fault in error.faults]
    return rule, import_.faults


class _Import(Conditions):
    """Reads one graph; `faults` grows."""

    def __init__(self, fields: Mapping[str, str], where: str) -> None:
        super().__init__(fields)
        self._where = where
        self._places: dict[str, str] = {"rules[0]": where}
        self._within_ms: list[int] = []
        self._strategy: Any = None

    def placed(self, fault: Fault) -> Fault:
        """Give a fault of the rule with its place in the graph."""
        near = max((one for one in self._places if fault.where.startswith(one)), key=len)
        return Fault(f"{self._places[near]}{fault.where[len(near) :]}", fault.problem, fault.cure)

    def rule(self, graph: Any, name: str | None) -> dict[str, Any]:
        """Give the rule of the outermost graph."""
        rule: dict[str, Any] = {"rule": name, "version": 1}
        graph = self.object(graph, self._where)
        if self.faults:
            return rule
        if name is None:
            rule["rule"] = self.text(graph, "name", self._where)
        if graph.get("type", "COMPOSITE") != "COMPOSITE":
            self.fault(f"{self._where}.type", "the whole is one node", "give it nodes and edges")
        if graph.get("condition") is not None:
            self.fault(
                f"{self._where}.condition", "a graph with a condition", "put it on the nodes"
            )
        quantifier = graph.get("quantifier")
        if isinstance(quantifier, Mapping) and quantifier.get("properties") not in (
            None,
            [],
            ["SINGLE"],
        ):
            problem = "the whole pattern is repeated"
            self.fault(f"{self._where}.quantifier", problem, "put it into a graph around it")
        self._strategy = graph.get("afterMatchStrategy")
        rule["pattern"] = self._steps(graph, self._where, "rules[0].pattern", 0)
        if self._within_ms:
            rule["within"] = format_duration(min(self._within_ms))
        skip = self._skip(self._strategy, f"{self._where}.afterMatchStrategy")
        if skip != "no_skip":
            rule["after_match"] = skip
        return rule

    def _steps(self, graph: Mapping[str, Any], where: str, place: str, depth: int) -> list[Any]:
        """Give the steps of a graph in the order of its edges."""
        if depth > MAX_DEPTH // 2:
            self.fault(where, "graphs are nested too deeply", "groups in groups are enough")
            return []
        known = ("name", "quantifier", "condition", "nodes", "edges", "window")
        self.known(graph, (*known, "afterMatchStrategy", "type", "version", "attributes"), where)
        nodes: dict[str, tuple[int, Mapping[str, Any]]] = {}
        for index, node in enumerate(self.list(graph, "nodes", where)):
            at = f"{where}.nodes[{index}]"
            node = self.object(node, at)  # noqa: PLW2901 - checked
            name = self.text(node, "name", at)
            if name and name in nodes:
                self.fault(f"{at}.name", f"a second node {name!r}", "give every node its own name")
            nodes[name] = index, node
        chain = self._chain(graph, nodes, where)
        steps = []
        for position, (name, then) in enumerate(chain):
            index, node = nodes[name]
            at = f"{where}.nodes[{index}]"
            self._places[f"{place}[{position}]"] = at
            step = {"step": name}
            if then is not None and then != "followed_by":
                step["then"] = then
            steps.append(step | self._node(node, at, f"{place}[{position}]", depth))
        self._window(graph.get("window"), f"{where}.window", steps)
        return steps

    def _chain(
        self, graph: Mapping[str, Any], nodes: Mapping[str, Any], where: str
    ) -> list[tuple[str, str | None]]:
        """Give the names of the nodes with the contiguity before each."""
        onward: dict[str, tuple[str, str]] = {}
        targets: set[str] = set()
        for index, one in enumerate(self.list(graph, "edges", where)):
            at = f"{where}.edges[{index}]"
            edge = self.object(one, at)
            self.known(edge, ("source", "target", "type", "attributes"), at)
            source, target = self.text(edge, "source", at), self.text(edge, "target", at)
            for key, name in (("source", source), ("target", target)):
                if name and name not in nodes:
                    cure = f"nodes are {', '.join(nodes)}"
                    self.fault(f"{at}.{key}", f"there is no node {name!r}", cure)
            if source in onward or target in targets:
                problem = f"{source!r} to {target!r}: a node has two edges on one side"
                self.fault(at, problem, "a pattern is a line: write two rules")
            onward[source] = target, self.choice(edge, "type", at, _THEN)
            targets.add(target)
        starts = [name for name in nodes if name not in targets]
        if nodes and len(starts) != 1:
            problem = f"{len(starts)} nodes have no edge before them, not one"
            self.fault(f"{where}.edges", problem, "connect all nodes in a line")
        if self.faults or not starts:
            return [(name, None) for name in nodes]
        chain: list[tuple[str, str | None]] = [(starts[0], None)]
        while chain[-1][0] in onward:
            chain.append(onward[chain[-1][0]])
        if len(chain) < len(nodes):
            left = ", ".join(sorted(set(nodes) - {name for name, _ in chain}))
            self.fault(f"{where}.edges", f"no way leads to {left}", "connect all nodes in a line")
        return chain

    def _node(self, node: Mapping[str, Any], where: str, place: str, depth: int) -> dict[str, Any]:
        step = self._quantified(node.get("quantifier"), f"{where}.quantifier")
        kind = self.choice(node, "type", where, {"ATOMIC": "ATOMIC", "COMPOSITE": "COMPOSITE"})
        if kind == "COMPOSITE":
            if node.get("condition") is not None:
                self.fault(f"{where}.condition", "a graph with a condition", "put it on its nodes")
            strategy = node.get("afterMatchStrategy")
            if strategy is not None and strategy != self._strategy:
                at = f"{where}.afterMatchStrategy"
                if self._skip(strategy, at) != "no_skip":
                    self.fault(at, "not that of the whole pattern", "leave it out")
            return {**step, "steps": self._steps(node, where, f"{place}.steps", depth + 1)}
        self.known(node, ("name", "quantifier", "condition", "type", "attributes"), where)
        text, event = self.condition(node.get("condition"), f"{where}.condition")
        if event is not None:
            step["event"] = event
        if text:
            step["where"] = text
        return step

    def _quantified(self, value: Any, where: str) -> dict[str, Any]:
        if value is None:
            return {}
        value = self.object(value, where)
        self.known(value, ("consumingStrategy", "properties", "times", "untilCondition"), where)
        step: dict[str, Any] = {}
        properties = self._properties(value, where)
        times = value.get("times")
        least, most = self._times(times, f"{where}.times", step)
        if "LOOPING" in properties:
            step["times"] = f"{least}+"
        elif "TIMES" in properties:
            if times is None:
                self.fault(f"{where}.times", "TIMES without times", 'give {"from": 2, "to": 2}')
            step["times"] = most if least == most else f"{least}..{most}"
        if "times" in step:
            inner = self.choice(value, "consumingStrategy", where, _INNER)
            if inner != "relaxed":
                step["inner"] = inner
        if "OPTIONAL" in properties and least:
            step["optional"] = True
        if "GREEDY" in properties:
            step["greedy"] = True
        until, event = self.condition(value.get("untilCondition"), f"{where}.untilCondition")
        parts = [] if event is None else [f"event_type == {literal(event)}"]
        if until or parts:
            step["until"] = " && ".join([*parts, *([until] if until else [])])
        return step

    def _properties(self, value: Mapping[str, Any], where: str) -> list[Any]:
        properties = self.list(value, "properties", where)
        for index, one in enumerate(properties):
            if one not in _PROPERTIES:
                problem = f"{self.shown(one)} is no property"
                self.fault(f"{where}.properties[{index}]", problem, f"of {', '.join(_PROPERTIES)}")
        return properties

    def _times(self, value: Any, where: str, step: dict[str, Any]) -> tuple[int, int]:
        if value is None:
            return 1, 1
        value = self.object(value, where)
        self.known(value, ("from", "to", "windowTime"), where)
        least = self.integer(value, "from", where)
        most = self.integer(value, "to", where) if value.get("to") is not None else least
        if value.get("windowTime") is not None:
            window_ms = self._duration(value.get("windowTime"), f"{where}.windowTime")
            step["repeat_within"] = format_duration(window_ms)
        return least, most

    def _duration(self, value: Any, where: str) -> int:
        value = self.object(value, where)
        self.known(value, ("unit", "size"), where)
        unit = self.choice(value, "unit", where, _UNITS_MS)
        size = self.integer(value, "size", where)
        if not self.faults and not 0 < size * unit <= MAX_MS:
            self.fault(f"{where}.size", f"{size} is no such time", "above zero, below 100 years")
        return size * (unit or 1)

    def _window(self, value: Any, where: str, steps: Sequence[dict[str, Any]]) -> None:
        if value is None:
            return
        value = self.object(value, where)
        self.known(value, ("type", "time"), where)
        kind = self.choice(value, "type", where, dict.fromkeys(_WINDOWS, "") | {_WINDOWS[1]: "gap"})
        window_ms = self._duration(value.get("time"), f"{where}.time")
        if kind == "":
            self._within_ms.append(window_ms)
        elif kind == "gap" and steps:
            # Flink gives it to the last pattern alone.
            if len(steps) == 1 or "times" in steps[-1] or "steps" in steps[-1]:
                problem = "PREVIOUS_AND_CURRENT has an effect on a last node that is taken once"
                self.fault(where, problem, "use times.windowTime, or FIRST_AND_LAST")
            steps[-1]["gap"] = {"max": format_duration(window_ms)}

    def _skip(self, value: Any, where: str) -> Any:
        if value is None:
            return "no_skip"
        value = self.object(value, where)
        self.known(value, ("type", "patternName"), where)
        kind = self.choice(value, "type", where, _SKIP)
        if kind in ("skip_to_first", "skip_to_last"):
            return {kind: self.text(value, "patternName", where)}
        return kind
