"""Every operator, function and macro of the language: one table for all that needs to know.

The parser learns from it what CEL's library lacks, the resolver what is supported, the code
generators which helper to call, and the documentation's test what has to be documented.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """An operator or function.

    Args:
        helper: Name of the Python function that it calls.
        operands: How many it takes.
        result: Kind of its result as far as it is certain.
        walks: It takes time in proportion to its operands.
        grows: Its result may be far longer than its operands: the result is counted.
        pays: Its helper takes the budget first, and pays for what it does.
        special: It may give what JSON does not have.
        declared: Signatures that CEL's library does not know: ``(list(A)) -> A``.
    """

    helper: str
    operands: tuple[int, ...] = (1,)
    result: str = "dyn"
    walks: bool = False
    grows: bool = False
    pays: bool = False
    special: bool = False
    declared: tuple[str, ...] = ()


_NUMERIC_PAIRS = (
    "(int, int) -> int",
    "(double, double) -> double",
    "(int, double) -> dyn",
    "(double, int) -> dyn",
)
_PAIR = (2,)
_PARTS_OF_TIME = (1, 2)

OPERATORS: dict[str, Function] = {
    "_+_": Function("add", _PAIR, walks=True),
    "_-_": Function("subtract", _PAIR),
    "_*_": Function("multiply", _PAIR),
    "_/_": Function("divide", _PAIR),
    "_%_": Function("modulo", _PAIR),
    "-_": Function("negate"),
    "_==_": Function("equal", _PAIR, "bool", walks=True),
    "_!=_": Function("not_equal", _PAIR, "bool", walks=True),
    "_<_": Function("less", _PAIR, "bool", walks=True),
    "_<=_": Function("less_equal", _PAIR, "bool", walks=True),
    "_>_": Function("greater", _PAIR, "bool", walks=True),
    "_>=_": Function("greater_equal", _PAIR, "bool", walks=True),
    "@in": Function("contains", _PAIR, "bool", walks=True),
    "_[_]": Function("index", _PAIR),
    "!_": Function("", (1,), "bool"),
    "_?_:_": Function("", (3,)),
}
"""What is written between or around its operands; ``&&`` and ``||`` have any number of them."""

FUNCTIONS: dict[str, Function] = {
    # lists and maps
    "size": Function("size", result="int"),
    "first": Function("first", declared=("(list(A)) -> A",)),
    "last": Function("last", declared=("(list(A)) -> A",)),
    "join": Function("join", (1, 2), "string", walks=True, grows=True),
    # text
    "contains": Function("contains_text", _PAIR, "bool", walks=True),
    "startsWith": Function("starts_with", _PAIR, "bool", walks=True),
    "endsWith": Function("ends_with", _PAIR, "bool", walks=True),
    "matches": Function("matches", _PAIR, "bool", pays=True),
    "lowerAscii": Function("lower_ascii", result="string", walks=True),
    "upperAscii": Function("upper_ascii", result="string", walks=True),
    "trim": Function("trim", result="string", walks=True),
    "split": Function("split", (2, 3), "list", walks=True),
    "replace": Function("replace", (3, 4), "string", walks=True, grows=True),
    "regex_extract": Function(
        "regex_extract", _PAIR, "string", pays=True, declared=("(string, string) -> string",)
    ),
    "url_param": Function(
        "url_param", _PAIR, "string", walks=True, declared=("(string, string) -> string",)
    ),
    # numbers
    "max": Function("greatest", _PAIR, declared=_NUMERIC_PAIRS),
    "min": Function("least", _PAIR, declared=_NUMERIC_PAIRS),
    "log1p": Function("log1p", result="double", declared=("(int) -> double", "(double) -> double")),
    "bucket": Function(
        "bucket",
        _PAIR,
        "int",
        walks=True,
        declared=("(int, list(dyn)) -> int", "(double, list(dyn)) -> int"),
    ),
    "hash_id": Function(
        "hash_id",
        _PAIR,
        "int",
        walks=True,
        declared=("(string, int) -> int", "(int, int) -> int", "(bool, int) -> int"),
    ),
    # conversions
    "string": Function("text_of", result="string", walks=True),
    "int": Function("to_int", result="int"),
    "uint": Function("to_uint", result="uint", special=True),
    "double": Function("to_double", result="double"),
    "bool": Function("to_bool", result="bool"),
    "bytes": Function("to_bytes", result="bytes", walks=True),
    "dyn": Function(""),
    "type": Function("type_of", result="type", special=True),
    # times
    "timestamp": Function("to_timestamp", result="timestamp", special=True),
    "duration": Function("to_duration", result="duration", special=True),
    "getFullYear": Function("get_full_year", _PARTS_OF_TIME, "int"),
    "getMonth": Function("get_month", _PARTS_OF_TIME, "int"),
    "getDate": Function("get_date", _PARTS_OF_TIME, "int"),
    "getDayOfMonth": Function("get_day_of_month", _PARTS_OF_TIME, "int"),
    "getDayOfWeek": Function("get_day_of_week", _PARTS_OF_TIME, "int"),
    "getDayOfYear": Function("get_day_of_year", _PARTS_OF_TIME, "int"),
    "getHours": Function("get_hours", _PARTS_OF_TIME, "int"),
    "getMinutes": Function("get_minutes", _PARTS_OF_TIME, "int"),
    "getSeconds": Function("get_seconds", _PARTS_OF_TIME, "int"),
    "getMilliseconds": Function("get_milliseconds", _PARTS_OF_TIME, "int"),
}
"""What is called by its name."""

MACROS = {"all": "for_all", "exists": "exists", "exists_one": "exists_one", "map": "transform"}
"""The helper of each macro; a ``filter`` is a ``map`` of itself, ``has`` is no call."""

MACRO_NAMES = ("all", "exists", "exists_one", "filter", "has", "map")
"""The macros as they are written."""

CALLABLE = {**OPERATORS, **FUNCTIONS}
