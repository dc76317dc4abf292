"""Durations as configs write them: an integer and ``ms``, ``s``, ``m``, ``h`` or ``d``."""

from __future__ import annotations

import re
from typing import Final

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PATTERN: Final = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")

MAX_MS: Final = 36_500 * _UNITS_MS["d"]
"""A hundred years: longer is a slip of the pen, and sums of times stay far inside 64 bits."""


def parse_duration(text: object) -> int:
    """Give the milliseconds of a duration.

    >>> parse_duration("30m")
    1800000

    Args:
        text: For example ``500ms``, ``10s``, ``30m``, ``1h``, ``7d``.

    Returns:
        Milliseconds, positive.

    Raises:
        ValueError: Not a duration, zero, or more than a hundred years.
    """
    found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(
            f"{text!r} is not a duration: write an integer and ms, s, m, h or d, as in '30m'"
        )
    duration_ms = int(found[1]) * _UNITS_MS[found[2]]
    if not 0 < duration_ms <= MAX_MS:
        raise ValueError(f"the duration {text!r} must be above zero and at most 36500d")
    return duration_ms


def format_duration(duration_ms: int) -> str:
    """Write a duration in the largest unit that divides it.

    >>> format_duration(1_800_000)
    '30m'

    Args:
        duration_ms: Milliseconds.

    Returns:
        What `parse_duration` reads back as the same number.
    """
    for unit in ("d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNITS_MS[unit] == 0:
            return f"{duration_ms // _UNITS_MS[unit]}{unit}"
    return f"{duration_ms}ms"
