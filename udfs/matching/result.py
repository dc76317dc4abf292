"""What the matcher says."""

from __future__ import annotations

from typing import Any

import msgspec

from udfs.events.event import Event


class Match(msgspec.Struct):
    """A rule that matched, or a partial match whose window has passed.

    Args:
        rule: Name of the rule.
        version: Its version.
        kind: ``match`` or ``timeout``.
        user_id: Whose events.
        at: Rule time of the event that completed it, or the deadline that fired, ms.
        steps: The events taken, by step, in the order in which the steps were reached.
        start: Rule time of the first event taken, ms.
    """

    rule: str
    version: int
    kind: str
    user_id: str
    at: int
    steps: dict[str, list[Event]]
    start: int

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form; the events without the fields that have their default."""
        return {
            "rule": self.rule,
            "version": self.version,
            "kind": self.kind,
            "user_id": self.user_id,
            "at": self.at,
            "steps": {
                name: [msgspec.to_builtins(event) for event in events]
                for name, events in self.steps.items()
            },
        }
