"""The syntax tree with every name resolved, macros recognised, and limits checked.

What comes out holds only constructs that the code generators know; everything else is a
fault with its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from udfs.errors import Fault
from udfs.expressions.calendar_fields import zone_of
from udfs.expressions.cost import certain_steps
from udfs.expressions.functions import CALLABLE, FUNCTIONS, MACRO_NAMES
from udfs.expressions.kinds import TYPE_NAMES, TypeValue, UInt, kind_of
from udfs.expressions.limits import MAX_DEPTH, MAX_ELEMENTS, MAX_STEPS
from udfs.expressions.names import EVENT, EVENT_FIELDS, Names
from udfs.expressions.parse import near
from udfs.expressions.patterns import pattern_of
from udfs.expressions.syntax import (
    Call,
    Const,
    Fold,
    Ident,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
    Tree,
    Unknown,
)
from udfs.expressions.terms import (
    Apply,
    Entries,
    Get,
    Has,
    Items,
    Literal,
    Local,
    Macro,
    Term,
    Variable,
)
from udfs.expressions.times import to_duration, to_timestamp
from udfs.expressions.values import KEYS, EvaluationError, make_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RE2_SYNTAX = "see https://github.com/google/re2/wiki/Syntax"
_CHECKS: dict[str, tuple[int, Callable[[str], object] | None, str]] = {
    "matches": (1, pattern_of, _RE2_SYNTAX),
    "regex_extract": (1, pattern_of, _RE2_SYNTAX),
    "timestamp": (0, to_timestamp, "as in timestamp('2030-01-31T00:00:00Z')"),
    "duration": (0, to_duration, "as in duration('1h30m'); a day is 24h"),
}
_ZONE = (1, zone_of, "as in 'Asia/Shanghai' or '+08:00'")
_FINE = (0, None, "")
"""Which operand of a function can be checked if it is a constant, how, and the cure."""


@dataclass(slots=True)
class Usage:
    """What an expression reads.

    Args:
        fields: Top-level fields of the current event.
        props: Keys of its ``props``.
        all_props: ``props`` is used otherwise than by constant keys.
        steps: Steps.
        values: Values.
        special: It handles what JSON does not have, and might give it out.
    """

    fields: set[str] = field(default_factory=set)
    props: set[str] = field(default_factory=set)
    all_props: bool = False
    steps: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    special: bool = False


class Resolver:
    """Resolves one tree; afterwards ``usage`` and ``faults`` are complete."""

    def __init__(self, tree: Tree, text: str, names: Names, where: str) -> None:
        self.usage = Usage()
        self.faults: list[Fault] = []
        self._tree = tree
        self._text = text
        self._names = names
        self._kinds = names.variables()
        self._where = where
        self._locals = 0
        self._build: Mapping[type[Node], Callable[..., Term]] = {
            Const: self._const,
            Ident: self._ident,
            Select: self._select,
            Call: self._call,
            ListLiteral: self._list,
            MapLiteral: self._map,
            Fold: self._fold,
            Unknown: self._unknown,
        }

    def resolve(self) -> Term:
        """The resolved tree; worthless if there are faults."""
        term = self._term(self._tree.root, {}, 0)
        steps = 0 if self.faults else certain_steps(term)
        if steps > MAX_STEPS:
            problem = f"it takes at least {steps} steps, at most {MAX_STEPS} are allowed"
            self._fault(self._tree.root, problem, "nest fewer macros, or use shorter lists")
        return term

    def _term(self, node: Node, scope: Mapping[str, int], depth: int) -> Term:
        if depth > MAX_DEPTH:
            return self._fault(node, f"nested deeper than {MAX_DEPTH}", "split it")
        return self._build[type(node)](node, scope, depth + 1)

    def _fault(self, node: Node, problem: str, cure: str = "") -> Literal:
        before = self._text[: self._tree.offsets.get(node.id, 0)]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        self.faults.append(Fault(f"{self._where}:{line}:{column}", problem, cure))
        return Literal(None)

    def _unknown(self, node: Unknown, _scope: Mapping[str, int], _depth: int) -> Term:
        return self._fault(node, f"{node.what} is not supported")

    def _const(self, node: Const, _scope: Mapping[str, int], _depth: int) -> Term:
        self.usage.special |= isinstance(node.value, UInt)
        return Literal(node.value)

    def _ident(self, node: Ident, scope: Mapping[str, int], _depth: int) -> Term:
        if node.name in scope:
            return Local(scope[node.name])
        name = node.name.removeprefix(".")
        kind = self._kinds.get(name)
        if kind is None and name in TYPE_NAMES:
            self.usage.special = True
            return Literal(TypeValue(name))
        if kind is None:
            return self._fault(node, f"{name!r} cannot be used as a value")
        return self._variable(name, kind)

    def _variable(self, name: str, kind: str) -> Variable:
        if kind == "event":
            self.usage.fields.update(EVENT_FIELDS)
            self.usage.all_props = True
            return Variable("event", EVENT)
        if kind == "events":
            self.usage.steps.add(name)
            return Variable("step", name)
        if kind == "dyn":
            self.usage.values.add(name)
            return Variable("value", name)
        self.usage.fields.add(name)
        self.usage.all_props |= name == "props"
        return Variable("field", name)

    def _current(self, node: Node, scope: Mapping[str, int]) -> str | None:
        """The field of the current event that a node names, as ``x`` or ``event.x``."""
        if isinstance(node, Ident) and node.name not in scope:
            name = node.name.removeprefix(".")
            return name if self._kinds.get(name) in ("int", "string", "map") else None
        if isinstance(node, Select) and isinstance(node.operand, Ident):
            ident = node.operand.name
            if ident not in scope and self._kinds.get(ident.removeprefix(".")) == "event":
                return node.field
        return None

    def _select(self, node: Select, scope: Mapping[str, int], depth: int) -> Term:
        known = self._current(node, scope)
        if known is not None:
            self.usage.fields.add(known)
            self.usage.all_props |= known == "props"
            return Has(Variable("event", EVENT), known) if node.test else Variable("field", known)
        operand = self._member(node.operand, node.field, scope, depth)
        return Has(operand, node.field) if node.test else Get(operand, node.field)

    def _member(self, node: Node, key: str, scope: Mapping[str, int], depth: int) -> Term:
        """The operand of a key that is known: of ``props`` only that key is read."""
        if self._current(node, scope) == "props":
            self.usage.fields.add("props")
            self.usage.props.add(key)
            return Variable("field", "props")
        return self._term(node, scope, depth)

    def _call(self, node: Call, scope: Mapping[str, int], depth: int) -> Term:
        name = node.function
        if name in ("_&&_", "_||_"):
            operands = _flatten(node, name)
            return Apply(name, tuple(self._term(operand, scope, depth) for operand in operands))
        known = CALLABLE.get(name)
        if known is None or len(node.args) not in known.operands:
            cure = near(name, [*FUNCTIONS, *MACRO_NAMES], "supported")
            return self._fault(node, f"{name}() is not supported", cure)
        self.usage.special |= known.special
        if name in ("_[_]", "@in"):
            operand, key = node.args if name == "_[_]" else node.args[::-1]
            if isinstance(key, Const) and isinstance(key.value, str):
                member = self._member(operand, key.value, scope, depth)
                if name == "_[_]":
                    return Get(member, key.value)
                return Apply(name, (Literal(key.value), member))
        self._check_constants(name, node.args)
        return Apply(name, tuple(self._term(arg, scope, depth) for arg in node.args))

    def _check_constants(self, function: str, args: tuple[Node, ...]) -> None:
        """Finds constant texts that the function will never take."""
        place, read, cure = _CHECKS.get(function, _ZONE if function.startswith("get") else _FINE)
        node = args[place] if place < len(args) else None
        if read is not None and isinstance(node, Const) and isinstance(node.value, str):
            try:
                read(node.value)
            except EvaluationError as error:
                self._fault(node, str(error), cure)

    def _count(self, node: Node, number: int, what: str) -> None:
        if number > MAX_ELEMENTS:
            problem = f"a {what} of {number} elements, at most {MAX_ELEMENTS} are allowed"
            self._fault(node, problem, "keep long lists in a feature table")

    def _list(self, node: ListLiteral, scope: Mapping[str, int], depth: int) -> Term:
        self._count(node, len(node.items), "list")
        return Items(tuple(self._term(item, scope, depth) for item in node.items))

    def _map(self, node: MapLiteral, scope: Mapping[str, int], depth: int) -> Term:
        self._count(node, len(node.entries), "map")
        parts: list[Term] = []
        seen: dict[Any, Any] = {}
        for key, value in node.entries:
            self.usage.special |= not isinstance(key, Const) or not isinstance(key.value, str)
            if isinstance(key, Const):
                if not isinstance(key.value, KEYS):
                    problem = f"a map's key cannot be a {kind_of(key.value)}"
                    self._fault(key, problem, "keys are strings, integers or bools")
                elif (same := make_map(key.value, None)).keys() & seen.keys():
                    self._fault(key, f"the key {key.value!r} stands twice in a map", "drop one")
                else:
                    seen |= same
            parts += (self._term(key, scope, depth), self._term(value, scope, depth))
        return Entries(tuple(parts))

    def _fold(self, node: Fold, scope: Mapping[str, int], depth: int) -> Term:
        shape = _macro(node)
        if shape is None:
            return self._fault(node, "this macro is not supported")
        name, make, predicate = shape
        over = self._term(node.over, scope, depth)
        number = self._locals
        self._locals += 1
        inner = {**scope, node.variable: number}
        return Macro(
            name,
            over,
            number,
            None if make is None else self._term(make, inner, depth),
            None if predicate is None else self._term(predicate, inner, depth),
        )


def _flatten(node: Node, function: str) -> list[Node]:
    if isinstance(node, Call) and node.function == function:
        return [operand for arg in node.args for operand in _flatten(arg, function)]
    return [node]


def _macro(node: Fold) -> tuple[str, Node | None, Node | None] | None:
    """Which macro a loop was: its name, what it makes of an element, its condition."""
    match node.start, node.step:
        case Const(value=True), Call(function="_&&_", args=(_, predicate)):
            return "all", None, predicate
        case Const(value=False), Call(function="_||_", args=(_, predicate)):
            return "exists", None, predicate
        case Const(value=0), Call(function="_?_:_", args=(predicate, *_)):
            return "exists_one", None, predicate
        case ListLiteral(), Call(function="_?_:_", args=(predicate, grown, _)):
            return "map", _added(grown), predicate
        case ListLiteral(), Call(function="_+_") as grown:
            return "map", _added(grown), None
    return None


def _added(node: Node) -> Node | None:
    """``t`` of ``accumulator + [t]``."""
    if isinstance(node, Call) and isinstance(node.args[1], ListLiteral):
        return node.args[1].items[0]
    return None
