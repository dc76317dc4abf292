"""Since when rules are in force, and so from when on they miss nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from udfs.matching.rule import CompiledRule


class Ages:
    """The ages of the rules of one machine, by structure.

    Attributes:
        since: Rule time at which a structure came into force, ms, by structure hash: what a
            job keeps to know it after a restart.
    """

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self.since: dict[bytes, int] = {}
        self._rules = {rule.name: rule for rule in rules}

    def activate(self, at: int, before: Ages | None = None) -> None:
        """Note that the rules come into force.

        Args:
            at: Rule time, ms.
            before: Of the machine before; rules that both have are as old as there.
        """
        known = {} if before is None else before.since
        hashes = [rule.structure_hash for rule in self._rules.values()]
        self.since = {found: known.get(found, at) for found in hashes}

    def complete_since(self, rule: str) -> int | None:
        """Give the rule time from which a rule has seen all that a match may need, ms.

        None as long as nobody knows: without a window, or before `activate`.

        Args:
            rule: Its name.
        """
        found = self._rules[rule]
        since, within_ms = self.since.get(found.structure_hash), found.spec.within_ms
        return None if since is None or within_ms is None else since + within_ms
