"""The rule sets that are pushed one after the other: each changes some rules of the one before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from benchmarks.rule_log import SHARE, rule_set
from benchmarks.rule_workload import Comparison, Rules, name_of, spec

CHANGED: Final = 50
"""Rules that a push changes, of a thousand."""

REPLACED: Final = 5
"""Of those, how many are taken away, each for a new one; the others get new thresholds."""

_SEED: Final = 20_29


class Rule(NamedTuple):
    """A rule of a set, as it is now."""

    version: int
    steps: tuple[Comparison, ...]


class Pushes:
    """Rule sets of the same size; the marker rule is in all of them and never changes.

    Args:
        rules: How many are in each.
        changed: How many a push changes, those that it replaces included.
        replaced: How many of them it replaces.
    """

    def __init__(self, rules: int, changed: int = CHANGED, replaced: int = REPLACED) -> None:
        self._now = {
            name_of(number): Rule(1, steps) for number, steps in enumerate(rule_set(rules).steps)
        }
        self._made = rules
        self._changed = min(changed, rules - 1)
        self._replaced = min(replaced, self._changed)
        self._random = random.Random(_SEED)
        self._steps = self._fresh()

    def _fresh(self) -> Iterator[tuple[Comparison, ...]]:
        """Give steps that no rule has."""
        for seed in range(_SEED, _SEED + 1_000):
            yield from Rules(1_000, SHARE, seed).steps

    def change(self) -> None:
        """Go on to the next set."""
        names = [name for name in self._now if name != name_of(0)]
        chosen = self._random.sample(names, self._changed)
        for name in chosen[: self._replaced]:
            del self._now[name]
            self._now[name_of(self._made)] = Rule(1, next(self._steps))
            self._made += 1
        for name in chosen[self._replaced :]:
            self._now[name] = Rule(self._now[name].version + 1, next(self._steps))

    def manifest(self) -> list[dict[str, Any]]:
        """Give the set as it is published."""
        return [spec(name, rule.steps, rule.version) for name, rule in self._now.items()]
