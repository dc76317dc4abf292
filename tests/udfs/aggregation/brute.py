"""Aggregates by their definition: every event, every time; knows nothing of the engine."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import scipy.stats

from udfs.expressions import text_of

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def ms(text: str) -> int:
    """Read a duration."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * UNITS[unit]


def same_key(x: Any) -> Any:
    """1 and 1.0 are the same value, true is another."""
    if isinstance(x, bool):
        return ("bool", x)
    if isinstance(x, list):
        return ("list", tuple(map(same_key, x)))
    return x


def rank(x: Any) -> Any:
    """Numbers before texts."""
    return isinstance(x, str), x


def number(x: Any) -> bool:
    """Tell numbers from booleans."""
    return type(x) in {int, float}


def takes(function: str, x: Any) -> bool:
    """Tell whether a function can take a value."""
    if isinstance(x, float) and not math.isfinite(x):
        return False
    if function in {"min", "max", "top_k", "bottom_k"}:
        return number(x) or isinstance(x, str)
    if function in {"sum", "avg", "variance", "stddev", "skew", "kurtosis", "approx_percentile"}:
        return number(x)
    if function == "histogram":
        return not isinstance(x, list | dict)
    return True


def day_start(day: date, zone: str) -> int:
    """Local midnight, ms: the first instant of the day, found minute by minute."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return int(at.timestamp()) * 1000


def tumbling_start(window: dict[str, Any], at: int) -> int:
    """Start of the window that holds a time."""
    length, zone = window["tumbling"], window.get("timezone", "UTC")
    today = datetime.fromtimestamp(at // 1000, UTC).astimezone(ZoneInfo(zone)).date()
    if length == "week":
        return day_start(today - timedelta(days=today.weekday()), zone)
    if length == "month":
        return day_start(today.replace(day=1), zone)
    if ms(length) >= UNITS["d"]:
        days = ms(length) // UNITS["d"]
        number_of = (today - date(1970, 1, 1)).days
        return day_start(today - timedelta(days=number_of % days), zone)
    midnight = day_start(today, zone)
    return midnight + (at - midnight) // ms(length) * ms(length)


def inside(window: Any, rows: list[tuple[int, Any]], at: int) -> list[Any]:  # noqa: PLR0911 - a table
    """Give the values in the window, in order."""
    if window == "lifetime":
        return [x for _, x in rows]
    if "hop" in window:
        hop = ms(window["hop"])
        return [x for t, x in rows if t // hop >= (at - ms(window["sliding"])) // hop]
    if "sliding" in window:
        return [x for t, x in rows if at - ms(window["sliding"]) < t <= at]
    if "tumbling" in window:
        start = tumbling_start(window, at)
        return [x for t, x in rows if t >= start]
    if "last" in window:
        return [x for _, x in rows[-window["last"] :]]
    gap = ms(window["session"])
    if not rows or at - rows[-1][0] > gap:
        return []
    chain = [rows[-1]]
    for row in reversed(rows[:-1]):
        if chain[0][0] - row[0] > gap:
            break
        chain.insert(0, row)
    return [x for _, x in chain]


def total(xs: list[Any]) -> int | float:
    """Exact, rounded once."""
    exact = sum((Fraction(x) for x in xs), Fraction(0))
    if all(type(x) is int for x in xs) and -(2**63) <= exact < 2**63:
        return int(exact)
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def root(square: Fraction) -> float:
    """Take the root with 60 digits, so that a square beyond the doubles is none."""
    with localcontext(Context(prec=60, Emax=10**9, Emin=-(10**9))):
        found = (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()
    return float(found)


def moment(function: str, xs: list[Any]) -> float | None:
    """Population moments, exact where scipy cannot be trusted."""
    if not xs:
        return None
    exact = [Fraction(x) for x in xs]
    mean = sum(exact, Fraction(0)) / len(exact)
    second = sum((x - mean) ** 2 for x in exact) / len(exact)
    try:
        if function in {"variance", "stddev"}:
            return float(second) if function == "variance" else root(second)
        if second == 0:
            return None
        if function == "kurtosis":
            return float(sum((x - mean) ** 4 for x in exact) / len(exact) / second**2 - 3)
        third = sum((x - mean) ** 3 for x in exact) / len(exact)
        found = root(third * third / second**3)
    except OverflowError:
        return math.inf
    return -found if third < 0 else found


def scipy_moment(function: str, xs: list[float]) -> float | None:
    """The same by scipy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "variance": lambda: scipy.stats.moment(xs, 2),
            "stddev": lambda: math.sqrt(scipy.stats.moment(xs, 2)),
            "skew": lambda: scipy.stats.skew(xs),
            "kurtosis": lambda: scipy.stats.kurtosis(xs),
        }[function]()
    return float(found)


def function_of(spec: dict[str, Any], xs: list[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table
    """Work out a function over values in order."""
    name, k = spec["function"], spec.get("k")
    if name == "count":
        return len(xs)
    if name == "sum":
        return total(xs)
    if name == "avg":
        return float(sum(map(Fraction, xs), Fraction(0)) / len(xs)) if xs else None
    if name in {"min", "max"}:
        return ({"min": min, "max": max}[name])(xs, key=rank, default=None)
    if name in {"variance", "stddev", "skew", "kurtosis"}:
        return moment(name, xs)
    if name in {"first", "last"}:
        return (xs[0] if name == "first" else xs[-1]) if xs else None
    if name == "first_k":
        return xs[:k]
    if name in {"last_k", "sequence"}:
        return xs[-k:]
    if name in {"top_k", "bottom_k"}:
        return sorted(xs, key=rank, reverse=name == "top_k")[:k]
    if name in {"unique_count", "approx_unique_count"}:
        return len({same_key(x) for x in xs})
    if name == "unique_k":
        seen: dict[Any, Any] = {}
        for x in xs:
            seen.pop(same_key(x), None)
            seen[same_key(x)] = x
        return list(seen.values())[-k:]
    if name == "histogram":
        counts = Counter(map(text_of, xs))
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return dict(ranked if k is None else ranked[:k])
    assert name == "approx_percentile"
    if not xs:
        return None
    ranked_xs = sorted(xs)
    return [ranked_xs[max(0, math.ceil(q * len(xs)) - 1)] for q in spec["q"]]


def prop(text: str, event: dict[str, Any]) -> Any:
    """Evaluate ``props.NAME``, all that the tests' expressions say; null if it is absent."""
    return event.get("props", {}).get(text.removeprefix("props."))


def brute(spec: dict[str, Any], events: list[dict[str, Any]], at: int) -> Any:
    """Give one aggregate of one user's events, by the book.

    Args:
        spec: Its expressions are names of ``props``.
        events: In order of arrival.
        at: Time of reading.
    """
    groups: dict[Any, list[tuple[int, Any]]] = {}
    for event in sorted(events, key=lambda e: e["event_time"]):
        kinds = spec.get("event", event["event_type"])
        if event["event_type"] not in ([kinds] if isinstance(kinds, str) else kinds):
            continue
        if "where" in spec and prop(spec["where"], event) is not True:
            continue
        x = prop(spec["value"], event) if "value" in spec else True
        if x is None or not takes(spec["function"], x):
            continue
        group = prop(spec["group_by"], event) if "group_by" in spec else ""
        if group is not None:
            groups.setdefault(group, []).append((event["event_time"], x))
    window = spec.get("window", "lifetime")
    if "group_by" not in spec:
        return function_of(spec, inside(window, groups.get("", []), at))
    found = {group: inside(window, rows, at) for group, rows in groups.items()}
    return {group: function_of(spec, xs) for group, xs in found.items() if xs}


def close(got: Any, expected: Any) -> bool:
    """Compare: numbers to 1e-9, lists and maps by their members, all else with its kind."""
    if isinstance(expected, list):
        return (
            isinstance(got, list) and len(got) == len(expected) and all(map(close, got, expected))
        )
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(close(got[key], expected[key]) for key in expected)
        )
    if number(expected) and number(got):  # 1 and 1.0 are the same value
        return bool(got == expected) or math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-300)
    return type(got) is type(expected) and bool(got == expected)
