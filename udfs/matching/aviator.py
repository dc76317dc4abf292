"""Conditions in Aviator or Groovy, as far as they are simple, as CEL.

Both languages write comparisons of names and literals, ``&&``, ``||``, ``!`` and parentheses
nearly as CEL does. Names become properties; everything else is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from udfs.errors import ExpressionInvalid, Fault

MAX_DEPTH: Final = 50
"""Parentheses and negations inside each other."""
MAX_LENGTH: Final = 20_000

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d[\w.]*)"
    r"|(?P<string>'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
    r"|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[<>!()-]))",
    re.DOTALL,
)
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?(?:[eE]\d+)?)L?")
_PROPERTY: Final = re.compile(r"props\.[A-Za-z_][A-Za-z0-9_]*")
_TYPE: Final = re.compile(r"event_type == ('(?:\\.|[^'\\])*')")
_PATH: Final = re.compile(r"[\w.]+")
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_WORDS: Final = {"true": "true", "false": "false", "nil": "null", "null": "null"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Translated(msgspec.Struct, frozen=True):
    """A condition in CEL.

    Args:
        text: All of it; empty if the type of the event says everything.
        event: The event type that it asks for, if it is one of the conditions that all must hold.
    """

    text: str
    event: str | None


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


def translate(text: str, language: str, fields: Mapping[str, str], where: str) -> Translated:
    """Translate a condition.

    >>> translate("action == 1 && !(price < 5 || vip)", "AVIATOR", {"vip": "props.user.vip"}, "$")
    Translated(text='props.action == 1 && !(props.price < 5 || props.user.vip)', event=None)
    >>> translate("kind == 'pay' && n > 1", "GROOVY", {"kind": "event_type"}, "$")
    Translated(text='props.n > 1', event='pay')

    Args:
        text: The condition.
        language: ``AVIATOR`` or ``GROOVY``.
        fields: CEL for names; other names are properties.
        where: JSON path of the text.

    Raises:
        ExpressionInvalid: It is not simple enough.
    """
    parser = _Parser(text, language, fields, where)
    terms = parser.condition()
    if len(terms) > 1 or _TYPE.fullmatch(terms[0]):
        types = [found for term in terms if (found := _TYPE.fullmatch(term))]
        if len(types) == 1:
            rest = [term for term in terms if term != types[0][0]]
            return Translated(" && ".join(rest), _unquoted(types[0][1]))
    return Translated(" && ".join(terms), None)


class _Parser:
    def __init__(self, text: str, language: str, fields: Mapping[str, str], where: str) -> None:
        self._text = text
        self._groovy = language == "GROOVY"
        self._fields = fields
        self._where = where
        if len(text) > MAX_LENGTH:
            self._refuse(0, f"{len(text)} characters, at most {MAX_LENGTH} are read")
        self._tokens = self._split()
        self._at = 0
        self._depth = 0

    def condition(self) -> list[str]:
        """Give what must hold together."""
        if not self._text.strip():
            self._refuse(0, "the expression is empty")
        found = self._or()
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._refuse(token.at, f"{token.text[:40]!r} is not expected here")
        return found

    def _split(self) -> list[_Token]:
        found = []
        end = len(self._text.rstrip())
        at = 0
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                self._refuse(at, f"{self._text[at : at + 20]!r} cannot be translated")
            kind = match.lastgroup
            assert kind is not None
            found.append(_Token(kind, match[kind], match.start(kind)))
            at = match.end()
        return found

    def _next(self, *texts: str) -> _Token | None:
        """Take the next token if it is one of these operators."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "operator" and token.text in texts:
                self._at += 1
                return token
        return None

    def _or(self) -> list[str]:
        terms = self._and()
        alternatives = [" && ".join(terms)]
        while self._next("||"):
            alternatives.append(" && ".join(self._and()))
        return terms if len(alternatives) == 1 else [" || ".join(alternatives)]

    def _and(self) -> list[str]:
        terms = [self._comparison()]
        while self._next("&&"):
            terms.append(self._comparison())
        return terms

    def _comparison(self) -> str:
        left = self._unary()
        operator = self._next(*_COMPARISONS)
        if operator is None:
            return left
        right = self._unary()
        chained = self._next(*_COMPARISONS)
        if chained is not None:
            self._refuse(chained.at, "comparisons in a row cannot be translated")
        if "null" in (left, right):
            return self._nil(operator, right if left == "null" else left)
        return f"{left} {operator.text} {right}"

    def _nil(self, operator: _Token, other: str) -> str:
        if operator.text not in ("==", "!=") or _PROPERTY.fullmatch(other) is None:
            self._refuse(operator.at, "only a property can be compared with nil")
        if operator.text == "==":
            return f"(!has({other}) || {other} == null)"
        return f"(has({other}) && {other} != null)"

    def _unary(self) -> str:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(self._tokens[self._at - 1].at, f"nested deeper than {MAX_DEPTH} levels")
        if self._next("!"):
            found = f"!{self._unary()}"
        elif sign := self._next("-"):
            found = self._primary()
            if not found[0].isdigit():
                self._refuse(sign.at, "arithmetic cannot be translated")
            found = f"-{found}"
        else:
            found = self._primary()
        self._depth -= 1
        return found

    def _primary(self) -> str:
        if self._next("("):
            inner = " && ".join(self._or())
            if not self._next(")"):
                place = self._tokens[self._at].at if self._at < len(self._tokens) else None
                self._refuse(len(self._text) if place is None else place, "a ')' is missing")
            return f"({inner})"
        if self._at >= len(self._tokens):
            self._refuse(len(self._text), "the expression ends too early")
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "number":
            return self._number(token)
        if token.kind == "string":
            return self._string(token)
        if token.kind == "name":
            return self._name(token)
        return self._refuse(token.at, f"{token.text!r} is not expected here")

    def _number(self, token: _Token) -> str:
        found = _NUMBER.fullmatch(token.text)
        if found is None:
            self._refuse(token.at, f"the number {token.text[:40]!r} cannot be translated")
        return found[1]

    def _string(self, token: _Token) -> str:
        if self._groovy and token.text[0] == '"' and "$" in token.text:
            self._refuse(token.at, "a text with $ in it cannot be translated")
        return literal(_unquoted(token.text))

    def _name(self, token: _Token) -> str:
        name = token.text
        if self._at < len(self._tokens) and self._tokens[self._at].text == "(":
            self._refuse(token.at, f"the function {name[:40]!r} cannot be translated")
        if name in _WORDS:
            return _WORDS[name]
        root, _, rest = name.partition(".")
        if name in self._fields:
            return self._mapped(name)
        if root in self._fields:
            return f"{self._mapped(root)}.{rest}"
        return f"props.{name}"

    def _mapped(self, name: str) -> str:
        text = self._fields[name]
        return text if _PATH.fullmatch(text) else f"({text})"

    def _refuse(self, at: int, problem: str) -> NoReturn:
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        cure = "write the condition in CEL by hand: comparisons, &&, || and ! are translated"
        raise ExpressionInvalid([Fault(f"{self._where}:{line}:{column}", problem, cure)])


def _unquoted(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        escaped = found[1]
        if escaped[0] == "u" and len(escaped) > 1:
            return chr(int(escaped[1:], 16))
        return _ESCAPES.get(escaped, escaped)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", plain, text[1:-1], flags=re.DOTALL)


def literal(text: str) -> str:
    r"""Give a text as CEL writes it.

    >>> print(literal("it's"))
    'it\'s'

    Args:
        text: Anything.
    """
    told = text.replace("\\", "\\\\").replace("'", "\\'")
    for letter, one in _ESCAPES.items():
        told = told.replace(one, f"\\{letter}")
    return f"'{told}'"
