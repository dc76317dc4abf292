"""The record of a decision: what was decided, on what, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


class Trigger(msgspec.Struct, omit_defaults=True):
    """What started a decision.

    Args:
        kind: ``event`` or ``rule``.
        event_ids: The trigger's events in order; for a rule those of all its steps.
        rule: The rule's name.
        rule_version: Its version.
        match: ``match`` or ``timeout``.
        complete_since: Rule time from which a match of this rule misses nothing, ms; only if that
            is later than the decision, so that the rule may have missed something.
    """

    kind: str
    event_ids: list[str]
    rule: str | None = None
    rule_version: int | None = None
    match: str | None = None
    complete_since: int | None = None


class Reason(msgspec.Struct, omit_defaults=True):
    """Why it was decided so.

    Args:
        kind: ``CONDITION_TRUE`` or ``NO_CONDITION`` (the action has no ``when``).
        when: The condition's text.
        errors: Expressions whose outcome was an error, by JSON path inside the flow; their
            value is null.
        defaults: Why something is its default, by feature, by table (all its features) or by
            ``score.NAME``; codes in docs/decisions.md.
        incomplete: Aggregates that are younger than their window and may have missed something: by
            name the event time from which they miss nothing, ms; None if there are none.
    """

    kind: str
    when: str | None = None
    errors: dict[str, str] = {}
    defaults: dict[str, str] = {}
    incomplete: dict[str, int] | None = None


class Decision(msgspec.Struct, omit_defaults=True):
    """One decision; JSON Schema in ``decision.schema.json``.

    Args:
        decision_id: 128 bits, hex; the same after a replay.
        flow: Name of the flow.
        version: Its version.
        user_id: The subject.
        at: Time of the trigger, ms since the epoch.
        revision: Of the manifest in force.
        trigger: What started it.
        features: Values read, by the flow or by its models, by name.
        values: The flow's ``let`` values.
        payload: What the action carries.
        reason: Why.
        scores: By the name of the step.
        tables: Releases of the tables that were read.
        models: Versions of the models that were asked.
    """

    decision_id: str
    flow: str
    version: int
    user_id: str
    at: int
    revision: int
    trigger: Trigger
    features: dict[str, Any]
    values: dict[str, Any]
    payload: dict[str, Any]
    reason: Reason
    scores: dict[str, Any] = {}
    tables: dict[str, int] = {}
    models: dict[str, int] = {}

    def to_json(self) -> bytes:
        """Give the record's value."""
        return _encoder.encode(self)


def decision_id(flow: str, subject: str, parts: Sequence[str]) -> str:
    """Name a decision so that a replay gives the same name.

    Args:
        flow: Name of the flow. Its version is no part: a replay after a push must not
            decide twice.
        subject: Whom it concerns.
        parts: Event ids of the trigger; for a rule, led by its name and the steps' names.

    Returns:
        First 128 bits of SHA-256 over the JSON array of all of them, hex.
    """
    text = msgspec.json.encode([flow, subject, *parts])
    return hashlib.sha256(text).hexdigest()[:32]
