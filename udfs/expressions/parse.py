"""CEL text to a checked syntax tree, by the C++ CEL library.

The library is imported when the first text is parsed: a worker whose code cache is full
never loads it.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING, Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    struct_pb2,
)

from udfs.errors import ExpressionInvalid, Fault
from udfs.expressions.limits import MAX_DEPTH, MAX_TEXT_BYTES
from udfs.expressions.names import EVENT_FIELDS, Names
from udfs.expressions.syntax import Tree, decode_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MESSAGE = "millrace.Event"
_OWN_FUNCTIONS = """
name: millrace
functions:
- name: first
  overloads:
  - id: first_list
    args: [{type_name: list, params: [{type_name: A, is_type_param: true}]}]
    return: {type_name: A, is_type_param: true}
- name: last
  overloads:
  - id: last_list
    args: [{type_name: list, params: [{type_name: A, is_type_param: true}]}]
    return: {type_name: A, is_type_param: true}
""" + "".join(
    f"""
- name: {name}
  overloads:
  - {{id: {name}_ii, args: [{{type_name: int}}, {{type_name: int}}], return: {{type_name: int}}}}
  - {{id: {name}_dd, args: [{{type_name: double}}, {{type_name: double}}],
     return: {{type_name: double}}}}
  - {{id: {name}_id, args: [{{type_name: int}}, {{type_name: double}}],
     return: {{type_name: dyn}}}}
  - {{id: {name}_di, args: [{{type_name: double}}, {{type_name: int}}],
     return: {{type_name: dyn}}}}
"""
    for name in ("max", "min")
)
FUNCTIONS = (
    *("all", "bool", "contains", "double", "dyn", "endsWith", "exists", "exists_one", "filter"),
    *("first", "has", "int", "join", "last", "lowerAscii", "map", "matches", "max", "min"),
    *("replace", "size", "split", "startsWith", "string", "trim", "upperAscii"),
)
"""Functions and macros, for the cure of an unknown name."""

_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_FIELD = re.compile(rf"undefined field '([^']*)' not found in struct '{re.escape(_MESSAGE)}'")


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
        return decode_tree(_environment(names).compile(text).serialize())
    except RuntimeError as error:  # all that the binding ever raises for a text
        raise ExpressionInvalid(_faults(str(error), names, where)) from None


def _before_parsing(text: Any, names: Names, where: str) -> Iterator[Fault]:
    if not isinstance(text, str):
        yield Fault(where, f"an expression is a text, not {type(text).__name__}", "quote it")
        return
    for name, what in names.clashes():
        yield Fault(where, f"the name {name!r} is both {what}", "rename one of them")
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


@functools.lru_cache(maxsize=64)  # pure: an environment is a function of the names
def _environment(names: Names) -> Any:
    from cel_expr_python import cel  # noqa: PLC0415 - see the module's docstring
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    event = cel.Type(_MESSAGE)
    types = {
        "int": cel.Type.INT,
        "string": cel.Type.STRING,
        "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "event": event,
        "events": cel.Type.List(event),
        "dyn": cel.Type.DYN,
    }
    return cel.NewEnv(
        descriptor_pool=_event_message(),
        config=cel.NewEnvConfigFromYaml(_OWN_FUNCTIONS),
        variables={name: types[kind] for name, kind in names.variables().items()},
        extensions=[ext_strings.ExtStrings()],
    )


@functools.lru_cache(maxsize=1)
def _event_message() -> Any:
    """The event as a protobuf message: that is how CEL knows a type with fields."""
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="millrace/event.proto",
        package="millrace",
        syntax="proto3",
        dependency=["google/protobuf/struct.proto"],
    )
    message = file.message_type.add(name="Event")
    entry = message.nested_type.add(name="PropsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field_type.TYPE_STRING, label=1)
    value = ".google.protobuf.Value"
    entry.field.add(name="value", number=2, type=field_type.TYPE_MESSAGE, type_name=value, label=1)
    for number, (name, kind) in enumerate(EVENT_FIELDS.items(), start=1):
        field = message.field.add(name=name, number=number, label=1)
        if kind == "map":
            field.type, field.label = field_type.TYPE_MESSAGE, field_type.LABEL_REPEATED
            field.type_name = f".{_MESSAGE}.PropsEntry"
        else:
            field.type = field_type.TYPE_INT64 if kind == "int" else field_type.TYPE_STRING
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(struct)
    pool.Add(file)
    return pool


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
        known = [*names.variables(), *FUNCTIONS]
        return f"unknown name {match[1]!r}", near(match[1], known, "known here")
    if match := _FIELD.search(problem):
        return f"an event has no field {match[1]!r}", near(match[1], EVENT_FIELDS, "its fields")
    if "no matching overload" in problem:
        cure = "compare values of one type; convert with int(), double() or string()"
        return problem.replace(_MESSAGE, "event"), cure
    return problem.replace(_MESSAGE, "event"), ""


def near(name: str, known: Iterable[str], what: str) -> str:
    """The cure of a wrong name: the nearest right ones, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"{what}: {', '.join(known)}"
