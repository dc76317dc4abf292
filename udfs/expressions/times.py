"""Timestamps and durations as text and as numbers, and their arithmetic.

The ranges are those of the language definition: years 1 to 9999, ten thousand years either
way, and what two of them make must fit 64 bits of nanoseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from udfs.expressions.kinds import MAX_INT, MIN_INT, Duration, Timestamp
from udfs.expressions.values import EvaluationError, refuse

NS_PER_SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MIN_TIME_NS = -62_135_596_800 * NS_PER_SECOND
_MAX_TIME_NS = 253_402_300_800 * NS_PER_SECOND - 1
_MAX_SPAN_NS = 315_576_000_001 * NS_PER_SECOND - 1
_MAX_LEAP_SECOND = 60

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?"
    r"(?:[Zz]|([+-])(\d\d):([0-5]\d))",
    re.ASCII,
)
_NUMBER = r"(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})"
_SPAN = re.compile(rf"([+-]?)((?:{_NUMBER}(?:h|ms|m|s|us|ns))+|0)", re.ASCII)
_SPAN_PART = re.compile(r"(\d*)\.?(\d*)(h|ms|m|s|us|ns)", re.ASCII)
_UNITS_NS = {
    "h": 3600 * NS_PER_SECOND,
    "m": 60 * NS_PER_SECOND,
    "s": NS_PER_SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_MAX_TEXT = 200  # characters; a longer one is no time, whatever it says


def to_timestamp(value: Any) -> Timestamp:
    """``timestamp(x)``: of seconds since the epoch, or of RFC 3339 text."""
    if value.__class__ is Timestamp:
        return Timestamp(value.ns)
    if value.__class__ is int:
        return _timestamp(value * NS_PER_SECOND)
    if value.__class__ is str:
        return _read_timestamp(value)
    return refuse("timestamp", value)


def to_duration(value: Any) -> Duration:
    """``duration(x)``: of text such as ``1h30m`` or ``-1.5s``."""
    if value.__class__ is Duration:
        return Duration(value.ns)
    if value.__class__ is str:
        return _read_duration(value)
    return refuse("duration", value)


def _timestamp(ns: int) -> Timestamp:
    if _MIN_TIME_NS <= ns <= _MAX_TIME_NS:
        return Timestamp(ns)
    raise EvaluationError("timestamp overflow: outside of the years 1 to 9999")


def _read_timestamp(text: str) -> Timestamp:
    match = _RFC_3339.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise EvaluationError(f"timestamp() cannot read {text[:40]!r}: write RFC 3339")
    *numbers, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    try:
        # A leap second is the second after it, as the C++ library has it.
        whole = datetime(*numbers, min(second, 59), tzinfo=UTC)  # type: ignore[arg-type, misc]
        offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    except ValueError as error:
        raise EvaluationError(f"timestamp() cannot read {text[:40]!r}: {error}") from None
    if second > _MAX_LEAP_SECOND or offset >= timedelta(days=1):
        raise EvaluationError(f"timestamp() cannot read {text[:40]!r}: no such time")
    seconds = (whole - EPOCH) // timedelta(seconds=1) + (second == _MAX_LEAP_SECOND)
    shift = offset // timedelta(seconds=1)
    seconds += shift if match[8] == "-" else -shift
    return _timestamp(seconds * NS_PER_SECOND + int((match[7] or "0").ljust(9, "0")[:9]))


def _read_duration(text: str) -> Duration:
    match = _SPAN.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise EvaluationError(f"duration() cannot read {text[:40]!r}: write it as '1h30m1.5s'")
    ns = 0
    for whole, part, unit in _SPAN_PART.findall(match[2]):
        scale = _UNITS_NS[unit]
        ns += int(whole or 0) * scale + int(part or 0) * scale // 10 ** len(part)
    if ns > _MAX_SPAN_NS:
        raise EvaluationError("duration overflow: more than ten thousand years")
    return Duration(-ns if match[1] == "-" else ns)


def timestamp_text(value: Timestamp) -> str:
    """RFC 3339 in UTC, with 0, 3, 6 or 9 digits of the second.

    >>> timestamp_text(Timestamp(1_500_000_000))
    '1970-01-01T00:00:01.500Z'
    """
    seconds, ns = divmod(value.ns, NS_PER_SECOND)
    whole = (EPOCH + timedelta(seconds=seconds)).isoformat()[: len("2000-01-01T00:00:00")]
    return f"{whole}{_fraction(ns)}Z"


def duration_text(value: Duration) -> str:
    """Seconds, with 0, 3, 6 or 9 digits behind the point.

    >>> duration_text(Duration(-90_000_000_000))
    '-90s'
    """
    seconds, ns = divmod(abs(value.ns), NS_PER_SECOND)
    return f"{'-' if value.ns < 0 else ''}{seconds}{_fraction(ns)}s"


def _fraction(ns: int) -> str:
    digits = f"{ns:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""


def add_times(left: Any, right: Any) -> Any:
    """``+`` where one of both is a duration."""
    if left.__class__ is Duration:
        if right.__class__ is Duration:
            return _span(left.ns + right.ns)
        if right.__class__ is Timestamp:
            return _timestamp(left.ns + right.ns)
    if left.__class__ is Timestamp and right.__class__ is Duration:
        return _timestamp(left.ns + right.ns)
    return refuse("+", left, right)


def subtract_times(left: Any, right: Any) -> Any:
    """``-`` of times: two of a kind make a duration."""
    if left.__class__ is right.__class__ and left.__class__ in (Timestamp, Duration):
        return _span(left.ns - right.ns)
    if left.__class__ is Timestamp and right.__class__ is Duration:
        return _timestamp(left.ns - right.ns)
    return refuse("-", left, right)


def _span(ns: int) -> Duration:
    if MIN_INT <= ns <= MAX_INT:
        return Duration(ns)
    raise EvaluationError("duration overflow: the result does not fit 64 bits of nanoseconds")
