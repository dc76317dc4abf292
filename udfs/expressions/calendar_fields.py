"""The parts of timestamps and durations: ``getHours`` and its kin."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from udfs.expressions.kinds import Duration, Timestamp
from udfs.expressions.times import EPOCH, NS_PER_SECOND
from udfs.expressions.values import EvaluationError, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

_OFFSET = re.compile(r"([+-]?)([0-9]{1,2}):([0-5][0-9])")
_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_MAX_HOURS = 24
_MAX_ZONES = 1024  # there are some 600
_NS_PER_MILLISECOND = 1_000_000
_CYCLE_YEARS = 400
_CYCLE = timedelta(days=146_097)  # then days of the week and leap years come again


def zone_of(name: str) -> tzinfo:
    """A time zone by its name (``Asia/Shanghai``) or offset (``+05:30``).

    Raises:
        EvaluationError: There is none of this name.
    """
    found = _zone(name)
    if found is None:
        raise EvaluationError(f"no time zone is called {name[:40]!r}: write Area/City or +hh:mm")
    return found


@functools.lru_cache(maxsize=_MAX_ZONES)  # also of those that do not exist: no look-up twice
def _zone(name: str) -> tzinfo | None:
    if name in ("", "UTC"):
        return UTC
    match = _OFFSET.fullmatch(name)
    if match and int(match[2]) < _MAX_HOURS:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _accessor(
    name: str,
    of_time: Callable[[datetime], int],
    of_span: Callable[[int], int] | None = None,
) -> Callable[..., int]:
    def get(value: Any, zone: Any = "") -> int:
        if value.__class__ is Timestamp and zone.__class__ is str:
            at = EPOCH + timedelta(microseconds=value.ns // 1000)
            if not zone:
                return of_time(at)
            try:
                return of_time(at.astimezone(zone_of(zone)))
            except OverflowError:  # the year 0 or 10000 there, which `datetime` does not have
                later = at.year < _CYCLE_YEARS
                near = (at + _CYCLE if later else at - _CYCLE).astimezone(zone_of(zone))
                years = -_CYCLE_YEARS if later else _CYCLE_YEARS
                return of_time(near) + (years if name == "getFullYear" else 0)
        if of_span is not None and value.__class__ is Duration and zone == "":
            ns = of_span(abs(value.ns))
            return ns if value.ns >= 0 else -ns
        return refuse(name, *((value, zone) if zone else (value,)))

    return get


get_full_year = _accessor("getFullYear", lambda at: at.year)
get_month = _accessor("getMonth", lambda at: at.month - 1)
get_date = _accessor("getDate", lambda at: at.day)
get_day_of_month = _accessor("getDayOfMonth", lambda at: at.day - 1)
get_day_of_week = _accessor("getDayOfWeek", lambda at: at.isoweekday() % 7)
get_day_of_year = _accessor("getDayOfYear", lambda at: at.timetuple().tm_yday - 1)
get_hours = _accessor("getHours", lambda at: at.hour, lambda ns: ns // (3600 * NS_PER_SECOND))
get_minutes = _accessor("getMinutes", lambda at: at.minute, lambda ns: ns // (60 * NS_PER_SECOND))
get_seconds = _accessor("getSeconds", lambda at: at.second, lambda ns: ns // NS_PER_SECOND)
get_milliseconds = _accessor(
    "getMilliseconds",
    lambda at: at.microsecond // 1000,
    lambda ns: ns % NS_PER_SECOND // _NS_PER_MILLISECOND,
)
