"""Hand-made cases of the language, each against the evaluator of the C++ library."""

from __future__ import annotations

import datetime as dt
import functools
import math
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from udfs.errors import ExpressionInvalid
from udfs.expressions import EvaluationError, Names, compile_expression
from udfs.expressions.absorb import FAILURES
from udfs.expressions.conversions import type_of
from udfs.expressions.kinds import BoolKey, Duration, Timestamp, TypeValue, UInt

FILE = Path(__file__).parents[2] / "conformance" / "cel_cases.txt"
LINES = FILE.read_text(encoding="utf-8").splitlines()
CASES = [line for line in LINES if not line.startswith("#")]
GIVEN: dict[str, Any] = {
    "i": 3,
    "j": -7,
    "big": 2**63 - 1,
    "d": 2.5,
    "nan": math.nan,
    "s": "héllo",
    "t": "a,b,,c",
    "e": "",
    "b": True,
    "n": None,
    "l": [1, 2.0, "x", None, True],
    "k": [3, 1, 2],
    "m": {"k": 1, "l": {"m": [1, 2]}, "": None},
}
NAMES = Names(event=False, values=tuple(GIVEN))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
ERROR, REFUSED = "error", "refused"

EXACT = "numbers are compared exactly, not after rounding to a double"
AT_LOAD = "a constant that is never taken is refused when it is loaded"
STRICT = "RFC 3339 is asked for, no looser form"
ZONES = "zones are names of the time zone database, or offsets of less than a day"
MISSING = "not a standard function of the language"
EXPLAINED = {
    "dyn(9007199254740993) > 9007199254740992.0": EXACT,
    "dyn(9007199254740993) == 9007199254740992.0": EXACT,
    "dyn(9223372036854775807) == 9223372036854775808.0": EXACT,
    "dyn(9223372036854775807) < 9223372036854775808.0": EXACT,
    "dyn(18446744073709551615u) < 18446744073709551616.0": EXACT,
    "{1: 1, 1: 2}": AT_LOAD,
    '{"a": 1, "a": 2}': AT_LOAD,
    's.matches("(")': AT_LOAD,
    'true || s.matches("(")': AT_LOAD,
    'timestamp("2009-02-30T00:00:00Z")': AT_LOAD,
    'timestamp("yesterday")': AT_LOAD,
    'duration("1d")': AT_LOAD,
    'timestamp(0).getHours("Mars/Base")': AT_LOAD,
    "{1: 1, dyn(1u): 2}": "a key stands twice, whatever its kind; the library keeps the first",
    'double("0x1p3")': "hexadecimal doubles are not read",
    'timestamp(dyn("2009-2-13T23:31:30Z"))': STRICT,
    'timestamp(dyn(" 2009-02-13T23:31:30Z"))': STRICT,
    'timestamp(dyn("2009-02-13T23:31:30+0200"))': STRICT,
    'timestamp(0).getHours(dyn("localtime"))': ZONES,
    'timestamp(0).getHours(dyn("+24:00"))': ZONES,
    'timestamp(0).getHours(dyn("+05:60"))': ZONES,
    'timestamp(0).getHours(dyn("Fixed/UTC+05:00:00"))': ZONES,
    '"abc".reverse()': MISSING,
    '"abc".charAt(0)': MISSING,
    '"abc".indexOf("c")': MISSING,
    '"abc".lastIndexOf("c")': MISSING,
    '"abc".substring(1)': MISSING,
    '"%d".format([1])': MISSING,
    'strings.quote("a")': MISSING,
    "google.protobuf.Duration{seconds: 1}": "messages are not supported",
    "google.protobuf.Int64Value{value: 1} == 1": "messages are not supported",
}
"""Where ours differs from the library on purpose; docs/expressions.md has the reasons."""

TYPES = {
    "NULL": "null_type",
    "TIMESTAMP": "google.protobuf.Timestamp",
    "DURATION": "google.protobuf.Duration",
    "LIST<DYN>": "list",
    "MAP<DYN, DYN>": "map",
}


@functools.cache
def environment() -> Any:
    """The library with the same names, all of dynamic type."""
    return cel.NewEnv(
        variables=dict.fromkeys(GIVEN, cel.Type.DYN), extensions=[ext_strings.ExtStrings()]
    )


def shown(value: Any) -> Any:
    """A value of either side, with its kind; the library gives times in microseconds."""
    if isinstance(value, BoolKey):
        return shown(value.value)
    kind = type_of(value).name
    if isinstance(value, list | tuple):
        return [kind, *map(shown, value)]
    if isinstance(value, dict):
        return {str(shown(key)): shown(element) for key, element in value.items()}
    if isinstance(value, Timestamp | Duration):
        return kind, value.ns // 1000
    if isinstance(value, TypeValue):
        return kind, value.name
    return kind, repr(value)


def of_library(value: Any) -> Any:
    """The same of a value of the library, whose ints know only at the top if they are unsigned."""
    if value.type().name() == "UINT":
        return shown(UInt(value.plain_value()))
    return shown(native(value.plain_value()))


def native(value: Any) -> Any:
    """A value of the library as ours would be."""
    if isinstance(value, dt.datetime):
        return Timestamp((value - EPOCH) // MICROSECOND * 1000)
    if isinstance(value, dt.timedelta):
        return Duration(value // MICROSECOND * 1000)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [native(element) for element in value]
    if isinstance(value, cel.Type):
        return TypeValue(TYPES.get(value.name(), value.name().lower()))
    return value


def library(text: str) -> Any:
    """What the library makes of a text."""
    try:
        compiled = environment().compile(text)
    except RuntimeError:
        return REFUSED
    try:
        value = compiled.eval(data=GIVEN)
    except RuntimeError:  # a few errors are raised, not returned
        return ERROR
    return ERROR if value.type().name() == "ERROR" else of_library(value)


def ours(text: str) -> Any:
    """What we make of it, by both variants."""
    try:
        expression = compile_expression(text, NAMES)
    except ExpressionInvalid:
        return REFUSED
    try:
        found = expression._settler.precise(None, None, GIVEN)
    except FAILURES:
        with pytest.raises(EvaluationError):
            expression.value(None, None, GIVEN)
        assert not expression.test(None, None, GIVEN)
        assert expression.errors == 1
        return ERROR
    expression.value(None, None, GIVEN)
    assert expression.test(None, None, GIVEN) is (found is True)
    return shown(found)


def test_there_are_enough_cases() -> None:
    """And none stands twice."""
    texts = [*CASES, *EXPLAINED]
    assert len(texts) == len(set(texts)) >= 700


@pytest.mark.parametrize("text", [*CASES, *EXPLAINED])
def test_same_as_the_library(text: str) -> None:
    """Same kind and value, an error in both, or refused by both; but for what is explained."""
    assert (ours(text) != library(text)) == (text in EXPLAINED)
