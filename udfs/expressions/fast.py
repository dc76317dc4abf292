"""Python source of the fast variant: plain operators where they mean what CEL's mean.

The contract: it gives CEL's result, or it raises; whenever it raises, the exact variant
decides. So ``and`` and ``or`` may stand for ``&&`` and ``||`` (what they skip, CEL absorbs),
a missing key may be a ``KeyError``, and a guard is needed only where Python would give a
result and CEL another one: mostly bool against number.

Kinds are inferred bottom-up from what this generator itself emits, so a kind other than
``dyn`` is certain: ``x.__class__`` need not be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.expressions.comparisons import ORDER, equal, equal_unknown, one_of, order
from udfs.expressions.exact import call, literal, macro
from udfs.expressions.functions import CALLABLE
from udfs.expressions.limits import MAX_RESULT
from udfs.expressions.names import EVENT_FIELDS, OPTIONAL_FIELDS
from udfs.expressions.piece import LITERAL_KINDS, Piece, constants
from udfs.expressions.terms import (
    Apply,
    Entries,
    Get,
    Has,
    Items,
    Lifted,
    Literal,
    Local,
    Macro,
    Term,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Callable


_CLASSES = {"int": "int", "double": "float", "string": "str", "bytes": "bytes", "list": "list"}
_TEXT_METHODS = {
    "contains": "({1} in {0})",
    "startsWith": "{0}.startswith({1})",
    "endsWith": "{0}.endswith({1})",
}


class Fast:
    """Generates one expression; ``patterns`` collects the constant regular expressions.

    Args:
        counted: All work is counted, not only that in macros.
    """

    def __init__(self, *, counted: bool) -> None:
        self.patterns: list[str] = []
        self._temporaries = 0
        self._locals: dict[int, str] = {}
        self._macros = int(counted)
        self._operators: dict[str, Callable[[Apply], Piece]] = {
            **dict.fromkeys(("_&&_", "_||_"), self._logic),
            **dict.fromkeys(("_==_", "_!=_"), self._equality),
            **dict.fromkeys(ORDER, self._order),
            **dict.fromkeys(("_+_", "_-_", "_*_"), self._arithmetic),
            **dict.fromkeys(_TEXT_METHODS, self._text_method),
            **dict.fromkeys(("first", "last"), self._end),
            "_[_]": self._index,
            "@in": self._in,
            "size": self._size,
            "!_": self._not,
            "_?_:_": self._choice,
            "matches": self._matches,
            "dyn": self._dyn,
        }

    def term(self, term: Term) -> Piece:  # noqa: C901, PLR0911, PLR0912 - a case a kind
        """The source of a term."""
        match term:
            case Literal(value):
                return Piece(literal(term), LITERAL_KINDS[type(value)])
            case Lifted(number, kind):
                return Piece(f"c{number}", kind)
            case Local(number):
                return Piece(f"x{number}", self._locals[number])
            case Variable("event"):
                return Piece("e", "event")
            case Variable("field", name):
                return self._field("e", name)
            case Variable("step", name):
                return Piece(f"s[{name!r}]", "list", "event")
            case Variable(_, name):
                return Piece(f"v[{name!r}]")
            case Get(operand, name):
                piece = self.term(operand)
                if piece.kind == "event":
                    return self._field(piece.code, name)
                return Piece(f"{piece.code}[{name!r}]")
            case Has(operand, name):
                return self._has(self.term(operand), name)
            case Items(items):
                return self._items(tuple(map(self.term, items)))
            case Entries(parts):
                return self._entries(tuple(map(self.term, parts)))
            case Macro():
                return self._macro(term)
            case Apply():
                return self._operators.get(term.function, self._helper)(term)

    def condition(self, term: Term) -> str:
        """Source that gives True or False, or raises."""
        piece = self.term(term)
        if piece.kind == "bool":
            return piece.code
        name = self._temporary()
        return f"(({name} := {piece.code}) is True or {name} is not False and no())"

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def _field(self, event: str, name: str) -> Piece:
        if name in OPTIONAL_FIELDS:
            held = self._temporary()
            code = f"({held} if ({held} := {event}.{name}) is not None else no())"
            return Piece(code, "string")
        # A key of data is a string always.
        return Piece(f"{event}.{name}", EVENT_FIELDS[name], "string" if name == "props" else "dyn")

    def _has(self, piece: Piece, name: str) -> Piece:
        if piece.kind == "event":
            return Piece(f"({piece.code}.{name} is not None)", "bool")
        if piece.kind == "map":
            return Piece(f"({name!r} in {piece.code})", "bool")
        return Piece(f"({name!r} in {self._guard(piece, 'dict')})", "bool")

    def _guard(self, piece: Piece, class_: str) -> str:
        held = self._temporary()
        return f"({held} if ({held} := {piece.code}).__class__ is {class_} else no())"

    def _as(self, piece: Piece, kind: str) -> str:
        return piece.code if piece.kind == kind else self._guard(piece, _CLASSES[kind])

    def _items(self, pieces: tuple[Piece, ...]) -> Piece:
        kinds = {piece.kind for piece in pieces}
        element = kinds.pop() if len(kinds) == 1 else "dyn"
        return Piece(f"[{', '.join(piece.code for piece in pieces)}]", "list", element)

    def _entries(self, pieces: tuple[Piece, ...]) -> Piece:
        texts = all(key.kind == "string" for key in pieces[::2])
        code = f"make_map({', '.join(piece.code for piece in pieces)})"
        return Piece(code, "map", "string" if texts else "dyn")

    def _macro(self, term: Macro) -> Piece:
        over = self.term(term.over)
        self._locals[term.local] = over.element if over.kind in ("list", "map") else "dyn"
        self._macros += 1
        made = Piece("", "bool") if term.make is None else self.term(term.make)
        predicate = None if term.predicate is None else self.condition(term.predicate)
        self._macros -= 1
        code = macro(term, over.code, made.code or None, predicate)
        return Piece(code, "list", made.kind) if term.name == "map" else Piece(code, "bool")

    def _helper(self, term: Apply) -> Piece:
        return self._call(term, *map(self.term, term.args))

    def _call(self, term: Apply, *pieces: Piece) -> Piece:
        code = call(term, [piece.code for piece in pieces], in_macro=self._macros > 0)
        element = "string" if term.function == "split" else "dyn"
        return Piece(code, CALLABLE[term.function].result, element)

    def _logic(self, term: Apply) -> Piece:
        word = " and " if term.function == "_&&_" else " or "
        return Piece(f"({word.join(map(self.condition, term.args))})", "bool")

    def _not(self, term: Apply) -> Piece:
        return Piece(f"(not {self.condition(term.args[0])})", "bool")

    def _dyn(self, term: Apply) -> Piece:
        # A name, because Python warns of literals in odd places, as in `1.0["k"]`.
        return Piece(f"({self._temporary()} := {self.term(term.args[0]).code})")

    def _choice(self, term: Apply) -> Piece:
        condition = self.condition(term.args[0])
        yes, no = self.term(term.args[1]), self.term(term.args[2])
        same = yes.kind == no.kind
        return Piece(
            f"({yes.code} if {condition} else {no.code})",
            yes.kind if same else "dyn",
            yes.element if same and yes.element == no.element else "dyn",
        )

    def _order(self, term: Apply) -> Piece:
        left, right = map(self.term, term.args)
        code = order(ORDER[term.function], left, right, self._temporary)
        return Piece(code, "bool") if code else self._call(term, left, right)

    def _equality(self, term: Apply) -> Piece:
        code = self._equal(*term.args)
        return Piece(code if term.function == "_==_" else f"(not {code})", "bool")

    def _equal(self, first: Term, second: Term) -> str:
        left, right = self.term(first), self.term(second)
        if left.kind == "dyn":  # what is known stands left
            left, right, first = right, left, second
        code = equal(first, left, right, self._temporary)
        if not code and left.kind == "dyn" and not self._macros:
            code = equal_unknown(left, right, self._temporary)
        return code or self._call(Apply("_==_", (first, second)), left, right).code

    def _in(self, term: Apply) -> Piece:
        item, container = self.term(term.args[0]), self.term(term.args[1])
        if container.kind == "map" and item.kind == "string":
            return Piece(f"({item.code} in {container.code})", "bool")
        code = one_of(item, constants(term.args[1]), self._temporary)
        return Piece(code, "bool") if code else self._call(term, item, container)

    def _index(self, term: Apply) -> Piece:
        operand, key = self.term(term.args[0]), self.term(term.args[1])
        constant = term.args[1].value if isinstance(term.args[1], Literal) else None
        if operand.kind == "map" and key.kind == "string":
            return Piece(f"{operand.code}[{key.code}]")
        if type(constant) is int and constant >= 0:
            if operand.kind == "list":
                return Piece(f"{operand.code}[{constant}]", operand.element)
            if operand.kind == "dyn":
                return Piece(f"{self._guard(operand, 'list')}[{constant}]")
        element = operand.element if operand.kind == "list" else "dyn"
        return Piece(f"index({operand.code}, {key.code})", element)

    def _end(self, term: Apply) -> Piece:
        operand = self.term(term.args[0])
        if operand.kind == "list":
            place = "0" if term.function == "first" else "-1"
            return Piece(f"{operand.code}[{place}]", operand.element)
        return Piece(f"{term.function}({operand.code})")

    def _size(self, term: Apply) -> Piece:
        operand = self.term(term.args[0])
        known = operand.kind in ("string", "bytes", "list", "map")
        return Piece(f"{'len' if known else 'size'}({operand.code})", "int")

    def _arithmetic(self, term: Apply) -> Piece:
        left, right = map(self.term, term.args)
        sign = term.function[1]
        kinds = {left.kind, right.kind} - {"dyn"}
        kind = kinds.pop() if len(kinds) == 1 else "dyn"
        if kind == "int":
            held = self._temporary()
            sum_ = f"{held} := {self._as(left, kind)} {sign} {self._as(right, kind)}"
            return Piece(f"({held} if MIN_INT <= ({sum_}) <= MAX_INT else no())", kind)
        joins = sign == "+" and kind in ("string", "bytes")
        if kind == "double" or (joins and not self._macros):
            plain = f"{self._as(left, kind)} {sign} {self._as(right, kind)}"
            if not joins:
                return Piece(f"({plain})", kind)
            held = self._temporary()
            return Piece(f"({held} if len({held} := {plain}) <= {MAX_RESULT} else no())", kind)
        made = self._call(term, left, right)
        if joins:
            return Piece(made.code, kind)
        if sign == "+" and left.kind == right.kind == "list":
            return Piece(
                made.code, "list", left.element if left.element == right.element else "dyn"
            )
        return made

    def _text_method(self, term: Apply) -> Piece:
        text, part = map(self.term, term.args)
        if self._macros:
            return self._call(term, text, part)
        form = _TEXT_METHODS[term.function]
        return Piece(form.format(self._as(text, "string"), self._as(part, "string")), "bool")

    def _matches(self, term: Apply) -> Piece:
        text, pattern = term.args
        if not (isinstance(pattern, Literal) and isinstance(pattern.value, str)):
            return self._helper(term)
        if self._macros:
            return self._helper(term)
        piece, held, number = self.term(text), self._temporary(), len(self.patterns)
        self.patterns.append(pattern.value)
        known = f"len({held} := {piece.code})" if piece.kind == "string" else f"len({held})"
        guard = f"{known} <= m{number}"
        if piece.kind != "string":
            guard = f"({held} := {piece.code}).__class__ is str and {guard}"
        search = f"p{number}({held}.encode()) is not None"
        return Piece(f"({search} if {guard} else no())", "bool")
