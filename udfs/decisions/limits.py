"""How often a flow may decide for one subject: ``"2/1d"`` is twice in any 24 hours."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from udfs.events.durations import parse_duration

MOST: Final = 1_000
"""Times kept per flow and subject: 9 KB of state. Who needs more wants a rate, not a limit."""

_PATTERN: Final = re.compile(r"([0-9]{1,6})/(\S+)")


class Limit(msgspec.Struct, frozen=True):
    """At most `count` decisions in any `period_ms`: times in ``(t - period_ms, t]`` count."""

    count: int
    period_ms: int

    def allows(self, times: Sequence[int], at: int) -> bool:
        """Tell whether one more fits. `times` rise and are all at most `at`."""
        return len(times) - bisect_right(times, at - self.period_ms) < self.count

    def forget(self, times: list[int], at: int) -> None:
        """Drop the times that count neither at `at` nor later."""
        del times[: bisect_right(times, at - self.period_ms)]


def parse_limit(text: str) -> Limit:
    """Read a limit.

    >>> parse_limit("1/1d")
    Limit(count=1, period_ms=86400000)

    Raises:
        ValueError: Not of the form ``count/duration``, or a count that cannot be kept.
    """
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a limit: write count/duration, as in '1/1d'")
    count = int(found[1])
    if not 1 <= count <= MOST:
        raise ValueError(f"the count of the limit {text!r} must be between 1 and {MOST}")
    return Limit(count, parse_duration(found[2]))
