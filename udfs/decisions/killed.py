"""What the kill switches stop now."""

from __future__ import annotations

import msgspec


class Killed(msgspec.Struct, frozen=True, array_like=True):
    """Flows and rules that must not decide.

    Args:
        all: Nothing decides.
        flows: Names of flows.
        rules: Names of rules; no flow that they trigger decides.
    """

    all: bool = False
    flows: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def stops(self, flow: str, rule: str | None) -> bool:
        """Tell whether a flow is stopped, by itself or by the rule that triggers it."""
        return self.all or flow in self.flows or (rule is not None and rule in self.rules)


NOTHING_KILLED = Killed()
