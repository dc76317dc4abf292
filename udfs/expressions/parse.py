"""CEL text to a checked syntax tree, by the C++ CEL library.

The library is imported when the first text is parsed: a worker whose code cache is full
never loads it.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from udfs.errors import ExpressionInvalid, Fault
from udfs.expressions.declarations import EVENT_MESSAGE, environment
from udfs.expressions.functions import FUNCTIONS, MACRO_NAMES
from udfs.expressions.limits import MAX_DEPTH, MAX_TEXT_BYTES
from udfs.expressions.names import EVENT_FIELDS, Names
from udfs.expressions.syntax import Tree, decode_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_FIELD = re.compile(rf"undefined field '([^']*)' not found in struct '{re.escape(EVENT_MESSAGE)}'")


def parse(text: str, names: Names, where: str) -> Tree:
    """Parses and checks one expression.

    Args:
        text: CEL.
        names: What it may mention.
        where: Path of the text in its config, for faults.

    Returns:
        Its tree.

    Raises:
        ExpressionInvalid: With every fault that was found, each with line and column.
    """
    faults = list(_before_parsing(text, names, where))
    if faults:
        raise ExpressionInvalid(faults)
    try:
        tree = decode_tree(environment(names).compile(text).serialize())
        if names.types:
            environment(names, typed=True).compile(_without_has(text, names))
    except RuntimeError as error:  # all that the binding ever raises for a text
        raise ExpressionInvalid(_faults(str(error), names, where)) from None
    return tree


def _without_has(text: str, names: Names) -> str:
    """The text with ``has()`` of declared members blotted out, at the same length.

    The library takes ``props.price`` inside of it for the variable, which is no condition.
    """
    for name, _ in names.types:
        member = r"\s*\.\s*".join(map(re.escape, name.split(".")))
        text = re.sub(rf"\bhas\s*\(\s*{member}\s*\)", _blotted, text)
    return text


def _blotted(match: re.Match[str]) -> str:
    rest = "".join(character if character == "\n" else " " for character in match[0])
    return "true" + rest[len("true") :]


def _before_parsing(text: Any, names: Names, where: str) -> Iterator[Fault]:
    if not isinstance(text, str):
        yield Fault(where, f"an expression is a text, not {type(text).__name__}", "quote it")
        return
    for name, what in names.clashes():
        yield Fault(where, f"the name {name!r} is both {what}", "rename one of them")
    for problem, cure in names.wrong_types():
        yield Fault(where, problem, cure)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        cure = "write valid Unicode"
        yield Fault(f"{where}:1:{error.start + 1}", "the text holds half a surrogate pair", cure)
        return
    if "\0" in text:  # the library would read up to there only
        place = text.index("\0") + 1
        yield Fault(
            f"{where}:1:{place}", "the text holds a NUL character", "write \\x00 in a literal"
        )
    elif size > MAX_TEXT_BYTES:
        problem = f"{size} bytes of text, at most {MAX_TEXT_BYTES} are allowed"
        yield Fault(f"{where}:1:1", problem, "split it, or use a script")
    elif not text.strip():
        yield Fault(f"{where}:1:1", "the expression is empty", "leave the key out, or write true")


def _faults(message: str, names: Names, where: str) -> list[Fault]:
    """The library's report as faults."""
    if "recursion" in message:
        cure = "split it; a chain of && or || does not nest, a chain of + does"
        return [Fault(f"{where}:1:1", f"nested deeper than {MAX_DEPTH}", cure)]
    found: dict[tuple[int, int], str] = {}
    for line, column, problem in _ERROR.findall(message):
        if int(line) > 0:
            found.setdefault((int(line), int(column)), problem)
    if not found:
        return [Fault(f"{where}:1:1", message.replace("\n", " ").strip(), "")]
    return [
        Fault(f"{where}:{line}:{column}", *_in_words(problem, names))
        for (line, column), problem in sorted(found.items())
    ]


def _in_words(problem: str, names: Names) -> tuple[str, str]:
    if match := _UNKNOWN.search(problem):
        known = [*names.variables(), *FUNCTIONS, *MACRO_NAMES]
        return f"unknown name {match[1]!r}", near(match[1], known, "known here")
    if match := _FIELD.search(problem):
        return f"an event has no field {match[1]!r}", near(match[1], EVENT_FIELDS, "its fields")
    if "no matching overload" in problem:
        cure = "compare values of one type; convert with int(), double() or string()"
        return problem.replace(EVENT_MESSAGE, "event"), cure
    return problem.replace(EVENT_MESSAGE, "event"), ""


def near(name: str, known: Iterable[str], what: str) -> str:
    """The cure of a wrong name: the nearest right ones, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"{what}: {', '.join(known)}"
