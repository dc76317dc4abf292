"""Since when rules are in force, and so from when on they miss nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from udfs.matching.rule import CompiledRule


class Ages:
    """The ages of the rules of one machine, by structure.

    Only rules with a window have one.

    Attributes:
        since: Rule time at which a structure came into force, ms, by structure hash: what a
            job keeps to know it after a restart.
        finishing: The same of older versions that may only finish.
    """

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self.since: dict[bytes, int] = {}
        self.finishing: dict[bytes, int] = {}
        self._rules: dict[str, CompiledRule] = {}
        self._older: dict[tuple[str, int], CompiledRule] = {}
        for rule in rules:
            if rule.finishing:
                self._older[rule.name, rule.spec.version] = rule
            else:
                self._rules[rule.name] = rule

    def activate(self, at: int, before: Ages | None = None) -> None:
        """Note that the rules come into force.

        Args:
            at: Rule time, ms.
            before: Of the machine before; rules that both have are as old as there. What only
                finished there is new if it is back: nothing began meanwhile.
        """
        known = {} if before is None else before.since
        older = {} if before is None else before.finishing | known
        self.since = {found: known.get(found, at) for found in _with_window(self._rules)}
        self.finishing = {found: older.get(found, at) for found in _with_window(self._older)}

    def since_and_within(self, rule: str, version: int) -> tuple[int, int] | None:
        """Give the rule time since which a rule is in force, and its window, both in ms.

        None as long as nobody knows: without a window, or before `activate`.

        Args:
            rule: Its name.
            version: Of an older one that finishes; any other is the one in force.
        """
        found = self._rules.get(rule)
        since = self.since
        if found is None or found.spec.version != version:
            older = self._older.get((rule, version))
            if older is not None:
                found, since = older, self.finishing
        began = None if found is None else since.get(found.structure_hash)
        if found is None or began is None or found.spec.within_ms is None:
            return None
        return began, found.spec.within_ms

    def complete_since(self, rule: str) -> int | None:
        """Give the rule time from which a rule has seen all that a match may need, ms.

        None as long as nobody knows: without a window, or before `activate`.

        Args:
            rule: Its name.
        """
        found = self.since_and_within(rule, self._rules[rule].spec.version)
        return None if found is None else sum(found)


def _with_window(rules: Mapping[Any, CompiledRule]) -> list[bytes]:
    return [rule.structure_hash for rule in rules.values() if rule.spec.within_ms is not None]
