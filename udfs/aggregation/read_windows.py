"""Reading the window of a spec."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from udfs.aggregation.specs import LIFETIME, Window
from udfs.errors import Fault
from udfs.events.durations import parse_duration

MAX_HOPS: Final = 10_000
"""Tiles of a window; more of them take more room than the events."""
MAX_LAST: Final = 10_000

_DAY_MS: Final = 86_400_000
_CURE: Final = (
    'write "lifetime", {"sliding": "1h"}, {"sliding": "1h", "hop": "1m"}, '
    '{"tumbling": "1d", "timezone": "Europe/Berlin"}, {"session": "30m"} or {"last": 10}'
)
_KINDS: Final = {"sliding": ("hop",), "tumbling": ("timezone",), "session": (), "last": ()}
_KEYS: Final = (*_KINDS, "hop", "timezone")


def read_window(window: Any, where: str) -> tuple[Window, list[Fault]]:
    """Check a window.

    Args:
        window: As in ``aggregate.schema.json``.
        where: JSON path.

    Returns:
        The window, ``lifetime`` in place of a faulty one; and its faults.
    """
    if window == "lifetime":
        return LIFETIME, []
    if not isinstance(window, Mapping):
        return LIFETIME, [Fault(where, f"{window!r} is not a window", _CURE)]
    faults = []
    kinds = [key for key in window if key in _KINDS]
    for key in window:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            cure = f"did you mean {near[0]!r}?" if near else _CURE
            faults.append(Fault(f"{where}.{key}", "unknown key", cure))
        elif key not in _KINDS and kinds and key not in _KINDS[kinds[0]]:
            faults.append(Fault(f"{where}.{key}", f"a {kinds[0]} window has no {key!r}", _CURE))
    faults += [
        Fault(f"{where}.{key}", f"the window is {kinds[0]!r} already", _CURE) for key in kinds[1:]
    ]
    if not kinds:
        if not faults:
            faults.append(Fault(where, "a window without a length", _CURE))
        return LIFETIME, faults
    found = _READERS[kinds[0]](window, where, faults)
    return found, faults


def _length(value: Any, where: str, faults: list[Fault]) -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        faults.append(Fault(where, str(error), 'for example "1h"'))
        return 0


def _sliding(window: Mapping[str, Any], where: str, faults: list[Fault]) -> Window:
    length_ms = _length(window["sliding"], f"{where}.sliding", faults)
    if "hop" not in window:
        return Window("sliding", length_ms)
    hop_ms = _length(window["hop"], f"{where}.hop", faults)
    if length_ms and hop_ms:
        if length_ms % hop_ms:
            problem = f"a hop of {window['hop']} does not divide {window['sliding']}"
            faults.append(Fault(f"{where}.hop", problem, "choose one that does"))
        elif length_ms // hop_ms > MAX_HOPS:
            problem = f"{length_ms // hop_ms} hops are too many"
            faults.append(Fault(f"{where}.hop", problem, f"at most {MAX_HOPS} to a window"))
    return Window("hopping", length_ms, hop_ms)


def _tumbling(window: Mapping[str, Any], where: str, faults: list[Fault]) -> Window:
    length: int | str = window["tumbling"]
    if length not in ("week", "month"):
        length = _length(length, f"{where}.tumbling", faults)
        if length and (_DAY_MS % length if length < _DAY_MS else length % _DAY_MS):
            problem = f"{window['tumbling']} neither divides a day nor is whole days"
            cure = 'write, for example, "15m", "6h", "1d", "week" or "month"'
            faults.append(Fault(f"{where}.tumbling", problem, cure))
    zone = window.get("timezone")
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, TypeError, LookupError):  # a folder, an empty key …
            problem = f"{zone!r} is not a time zone"
            cure = 'use a name of the IANA database, e.g. "Europe/Berlin"'
            faults.append(Fault(f"{where}.timezone", problem, cure))
    return Window("tumbling", length, zone=zone if isinstance(zone, str) else None)


def _session(window: Mapping[str, Any], where: str, faults: list[Fault]) -> Window:
    return Window("session", _length(window["session"], f"{where}.session", faults))


def _last(window: Mapping[str, Any], where: str, faults: list[Fault]) -> Window:
    n = window["last"]
    if type(n) is not int or not 1 <= n <= MAX_LAST:
        problem = f"{n!r} is not a number of events"
        faults.append(Fault(f"{where}.last", problem, f"write 1 to {MAX_LAST}"))
        return Window("last", 1)
    return Window("last", n)


_READERS: Final = {"sliding": _sliding, "tumbling": _tumbling, "session": _session, "last": _last}
