"""The syntax tree with every name resolved, macros recognised, and limits checked.

What comes out holds only constructs that the code generators know; everything else is a
fault with its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from udfs.errors import Fault
from udfs.expressions.limits import MAX_DEPTH, MAX_ELEMENTS
from udfs.expressions.names import EVENT, EVENT_FIELDS, Names
from udfs.expressions.parse import near
from udfs.expressions.syntax import (
    Call,
    Const,
    Fold,
    Ident,
    ListLiteral,
    MapLiteral,
    Node,
    Scalar,
    Select,
    Tree,
    Unknown,
)
from udfs.expressions.text import pattern_of
from udfs.expressions.values import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPERATORS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("_+_", "_-_", "_*_", "_/_", "_%_", "_==_", "_!=_"), (2,)),
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_", "@in", "_[_]", "max", "min"), (2,)),
    **dict.fromkeys(("!_", "-_", "size", "first", "last", "dyn"), (1,)),
    **dict.fromkeys(("string", "int", "double", "bool"), (1,)),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), (2,)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "trim"), (1,)),
    "_?_:_": (3,),
    "split": (2, 3),
    "join": (1, 2),
    "replace": (3, 4),
}
"""Functions and operators besides ``&&`` and ``||``, with their numbers of operands."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Variable:
    """A name: ``scope`` is ``event``, ``field``, ``step`` or ``value``."""

    scope: str
    name: str


@dataclass(frozen=True, slots=True)
class Local:
    """The variable of a macro, by number: its name never reaches the generated code."""

    number: int


@dataclass(frozen=True, slots=True)
class Get:
    """``operand.name``."""

    operand: Term
    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """``has(operand.name)``."""

    operand: Term
    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function; the operands of ``_&&_`` and ``_||_`` are flattened."""

    function: str
    args: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A map literal: keys and values in turn."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """``all``, ``exists``, ``exists_one`` or ``map``; a ``filter`` is a map of itself."""

    name: str
    over: Term
    local: int
    make: Term | None
    predicate: Term | None


Term: TypeAlias = Literal | Variable | Local | Get | Has | Apply | Items | Entries | Macro


@dataclass(slots=True)
class Usage:
    """What an expression reads.

    Args:
        fields: Top-level fields of the current event.
        props: Keys of its ``props``.
        all_props: ``props`` is used otherwise than by constant keys.
        steps: Steps.
        values: Values.
    """

    fields: set[str] = field(default_factory=set)
    props: set[str] = field(default_factory=set)
    all_props: bool = False
    steps: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)


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
            Const: lambda node, _scope, _depth: Literal(node.value),
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
        return self._term(self._tree.root, {}, 0)

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

    def _ident(self, node: Ident, scope: Mapping[str, int], _depth: int) -> Term:
        if node.name in scope:
            return Local(scope[node.name])
        name = node.name.removeprefix(".")
        kind = self._kinds.get(name)
        if kind is None:
            cure = "compare values, not types" if name in ("int", "string") else ""
            return self._fault(node, f"{name!r} cannot be used as a value", cure)
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
        if len(node.args) not in OPERATORS.get(name, ()):
            known = [function for function in OPERATORS if function.isalpha()]
            return self._fault(node, f"{name}() is not supported", near(name, known, "supported"))
        if name in ("_[_]", "@in"):
            operand, key = node.args if name == "_[_]" else node.args[::-1]
            if isinstance(key, Const) and isinstance(key.value, str):
                member = self._member(operand, key.value, scope, depth)
                if name == "_[_]":
                    return Get(member, key.value)
                return Apply(name, (Literal(key.value), member))
        if name == "matches":
            self._check_pattern(node.args[1])
        return Apply(name, tuple(self._term(arg, scope, depth) for arg in node.args))

    def _check_pattern(self, node: Node) -> None:
        if isinstance(node, Const) and isinstance(node.value, str):
            try:
                pattern_of(node.value)
            except EvaluationError as error:
                self._fault(node, str(error), "see https://github.com/google/re2/wiki/Syntax")

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
        seen = set()
        for key, value in node.entries:
            if isinstance(key, Const):
                if not isinstance(key.value, str):
                    self._fault(key, f"the key {key.value!r} of a map", "keys are strings")
                elif key.value in seen:
                    self._fault(key, f"the key {key.value!r} stands twice in a map", "drop one")
                else:
                    seen.add(key.value)
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
