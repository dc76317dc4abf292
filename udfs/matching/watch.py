"""What rules have found: counts, matches in the shadow, and the fuse."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from udfs.matching.result import Match
    from udfs.matching.spec import RuleSpec

MINUTE_MS: Final = 60_000
SAMPLES: Final = 5
"""Matches in the shadow that are kept for looking at."""
MINUTES: Final = 10
"""Minutes of rule time that a fuse counts side by side: users are not at the same time."""


class Found(msgspec.Struct):
    """What one rule has found since the machine was made.

    Args:
        live: Matches and time-outs that were handed out.
        shadowed: Those that were only counted.
        samples: The latest of those.
        tripped_at: Rule time at which the fuse went, ms; None while it holds.
    """

    live: int = 0
    shadowed: int = 0
    samples: deque[Match] = msgspec.field(default_factory=lambda: deque(maxlen=SAMPLES))
    tripped_at: int | None = None


class Watch:
    """Counts matches and keeps back those of rules in the shadow.

    A fuse counts by the minute of rule time, over all users of this machine. Once it has gone,
    the rule stays in the shadow until another machine takes over.

    What a fuse keeps back depends on all that the machine has seen. So that a batch can be worked
    off again after a restart, `begin` and `kept_back` say what became of its matches, and `follow`
    makes it so again.

    Attributes:
        found: By rule name.
        fresh: Rules that had a match in the shadow since somebody emptied this.
    """

    def __init__(self, specs: Sequence[RuleSpec]) -> None:
        self.found = {spec.name: Found() for spec in specs}
        self.fresh: set[str] = set()
        self._shadow = {spec.name for spec in specs if spec.shadow}
        self._fuses = {spec.name: spec.fuse for spec in specs if spec.fuse is not None}
        self._minutes: dict[str, dict[int, int]] = {name: {} for name in self._fuses}
        self._alerts: list[tuple[str, int]] = []
        self._tripped: list[str] = []
        self._passed: dict[str, int] = {}
        self._told: dict[str, int] | None = None

    def begin(self) -> None:
        """Note that a batch begins."""
        self._passed.clear()

    def kept_back(self) -> dict[str, int]:
        """Give the rules whose fuse is gone, each with its matches of this batch until then."""
        return {name: self._passed.get(name, 0) for name in self._tripped}

    def follow(self, kept_back: Mapping[str, int] | None) -> None:
        """Let fuses go where they went before, and count nothing.

        Args:
            kept_back: What `kept_back` gave for the batch that is worked off again; None: all
                is as usual again.
        """
        self._told = None if kept_back is None else dict(kept_back)

    def take_alerts(self) -> list[tuple[str, int]]:
        """Give the rules whose fuse went since this was asked last, and when (rule time, ms)."""
        alerts, self._alerts = self._alerts, []
        return alerts

    def sift(self, matches: list[Match]) -> list[Match]:
        """Count matches and give those that are to be acted on."""
        live = []
        for match in matches:
            name = match.rule
            found = self.found[name]
            gone = name in self._fuses and self._gone(name, match.at, found)
            if not gone and name not in self._shadow:
                live.append(match)
                found.live += self._told is None
            elif self._told is None:
                found.shadowed += 1
                self.fresh.add(name)
                found.samples.append(match)
        return live

    def _gone(self, name: str, at: int, found: Found) -> bool:
        """Tell whether the fuse of a rule keeps a match back."""
        if self._told is not None:
            left = self._told.get(name, 1)
            if name in self._told:
                self._told[name] = left - 1
            return left <= 0
        if found.tripped_at is None:
            self._count(name, at, found)
        if found.tripped_at is not None:
            return True
        self._passed[name] = self._passed.get(name, 0) + 1
        return False

    def _count(self, name: str, at: int, found: Found) -> None:
        minutes = self._minutes[name]
        minute = at // MINUTE_MS
        minutes[minute] = minutes.get(minute, 0) + 1
        if minutes[minute] > self._fuses[name]:
            found.tripped_at = at
            self._tripped.append(name)
            self._alerts.append((name, at))
            minutes.clear()
        elif len(minutes) > MINUTES:
            del minutes[min(minutes)]
