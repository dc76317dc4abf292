"""What the CEL library is told: our functions, the event's fields, the types of names."""

from __future__ import annotations

import functools
import re
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    struct_pb2,
)

from udfs.expressions.functions import FUNCTIONS
from udfs.expressions.names import EVENT_FIELDS, Names

EVENT_MESSAGE = "millrace.Event"

_SIGNATURE = re.compile(r"\((.*)\) -> (\w+)")
_TYPE = re.compile(r"(\w+)(?:\((\w+)\))?")
_SHORT = {"events": "list(event)", "list": "list(dyn)", "map": "map(dyn)"}
_SCALARS = ("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint")


def environment(names: Names, *, typed: bool = False) -> Any:
    """An environment of the library.

    Args:
        names: What may be mentioned.
        typed: Members of declared types (``props.price``) are variables of their own.

    Returns:
        What compiles texts.
    """
    return _environment(names, typed)


@functools.lru_cache(maxsize=64)  # pure: an environment is a function of the names
def _environment(names: Names, typed: bool) -> Any:  # noqa: FBT001 - a key of the cache
    from cel_expr_python import cel  # noqa: PLC0415 - a worker with a full cache needs none of it
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    kinds = names.variables()
    if typed:
        kinds |= dict(names.types)
    return cel.NewEnv(
        descriptor_pool=_event_message(),
        config=cel.NewEnvConfigFromYaml(_own_functions()),
        variables={name: _type(kind) for name, kind in kinds.items()},
        extensions=[ext_strings.ExtStrings()],
    )


def _type(kind: str) -> Any:
    """The library's type: of our word for it, or of a declared one."""
    from cel_expr_python import cel  # noqa: PLC0415 - see above

    kind = _SHORT.get(kind, kind)
    if kind == "event":
        return cel.Type(EVENT_MESSAGE)
    if kind.startswith("list("):
        return cel.Type.List(_type(kind[len("list(") : -1]))
    if kind.startswith("map("):
        return cel.Type.Map(cel.Type.STRING, _type(kind[len("map(") : -1]))
    scalar = getattr(cel.Type, kind.upper()) if kind in _SCALARS else None
    if scalar is None:
        raise ValueError(f"{kind!r} is no type")
    return scalar


@functools.lru_cache(maxsize=1)
def _own_functions() -> str:
    lines = ["name: millrace", "functions:"]
    for name, function in FUNCTIONS.items():
        if function.declared:
            lines += [f"- name: {name}", "  overloads:"]
        for number, signature in enumerate(function.declared):
            match = _SIGNATURE.fullmatch(signature)
            if match is None:
                raise ValueError(f"{name}: {signature!r} is no signature")
            args = ", ".join(map(_yaml, match[1].split(", ")))
            lines.append(f"  - {{id: {name}_{number}, args: [{args}], return: {_yaml(match[2])}}}")
    return "\n".join(lines)


def _yaml(text: str) -> str:
    match = _TYPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no type")
    name, inner = match.groups()
    if inner:
        return f"{{type_name: {name}, params: [{_yaml(inner)}]}}"
    return f"{{type_name: {name}{', is_type_param: true' if len(name) == 1 else ''}}}"


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
            field.type_name = f".{EVENT_MESSAGE}.PropsEntry"
        else:
            field.type = field_type.TYPE_INT64 if kind == "int" else field_type.TYPE_STRING
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(struct)
    pool.Add(file)
    return pool
