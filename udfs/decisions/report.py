"""What the rules of a program have to say beside their matches: shadow, fuses, caps, cost.

A machine is shared by the shards of a worker, and so is this: whoever asks next gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from udfs.matching import Machine
from udfs.matching.watch import Watch

DEAREST: Final = 10
"""Rules whose cost is told: those that took the most time."""

_COST: Final = ("evaluations", "runs", "cost_us")


class RuleReport:
    """Asks the machine of a program.

    Args:
        machine: The rules.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watch = machine.watch or Watch([])
        self._specs = {rule.name: rule.spec for rule in machine.rules if not rule.finishing}
        self._told: dict[str, dict[str, int]] = {}

    def begin(self) -> None:
        """Note that a batch begins."""
        self._watch.begin()

    def kept_back(self) -> dict[str, int]:
        """Give the rules whose fuse is gone, each with its matches of this batch until then."""
        return self._watch.kept_back()

    def follow(self, kept_back: Mapping[str, int] | None) -> None:
        """Let fuses go as in a batch that is worked off again; None: as usual from here on."""
        self._watch.follow(kept_back)

    def take_alerts(self) -> list[dict[str, Any]]:
        """Give the fuses that went since this was asked last.

        Returns:
            ``rule``, ``version``, ``at`` (rule time, ms) and ``limit`` (matches a minute) of each.
        """
        return [
            {"rule": name, "version": self._specs[name].version, "at": at,
             "limit": self._specs[name].fuse}
            for name, at in self._watch.take_alerts()
        ]  # fmt: skip

    def take(self) -> dict[str, dict[str, int]]:
        """Give what there is to say of rules since this was asked last, by rule.

        Returns:
            Where it is not 0: ``shadowed`` matches, ``overflowed`` runs; and of the `DEAREST`
            rules ``evaluations``, ``runs`` and ``cost_us`` of the events that were sampled.
        """
        found: dict[str, dict[str, int]] = {}
        for name in self._fresh():
            now, told = self._totals(name), self._told.get(name, {})
            news = {what: count - told.get(what, 0) for what, count in now.items()}
            found[name] = {what: count for what, count in news.items() if count}
            self._told[name] = now
        dearest = sorted(found, key=lambda name: found[name].get("cost_us", 0), reverse=True)
        for name in dearest[DEAREST:]:
            for what in _COST:
                found[name].pop(what, None)
        return {name: news for name, news in found.items() if news}

    def _fresh(self) -> set[str]:
        """Give the rules that may have something to say; most of many thousand have nothing."""
        machine = self._machine
        names = {*self._watch.fresh, *machine.overflowed}
        self._watch.fresh.clear()
        if machine.sampler is not None:
            names |= machine.sampler.fresh
            machine.sampler.fresh.clear()
        return names

    def _totals(self, name: str) -> dict[str, int]:
        watched, sampler = self._watch.found.get(name), self._machine.sampler
        totals = {
            "shadowed": 0 if watched is None else watched.shadowed,
            "overflowed": self._machine.overflowed.get(name, 0),
        }
        if sampler is not None:
            cost = sampler.costs[name]
            totals["evaluations"] = cost.evaluations
            totals["runs"] = cost.runs
            totals["cost_us"] = round(cost.seconds * 1_000_000)
        return totals
