"""A decision under way: from its trigger to the end of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from udfs.decisions.decision import Trigger
from udfs.decisions.flows import Flow
from udfs.decisions.residents import Resident
from udfs.events.event import Event


class Pending:
    """What a trigger has left behind, and what becomes of it.

    Aggregates are read when the trigger happens; tables, models, conditions and limits wait for
    the end of the batch, so that all of a batch's decisions are looked up and scored together.

    Args:
        flow: Whose decision.
        subject: Whom it concerns.
        resident: The subject's state. Kept as it was: the subject may be forgotten and begin
            anew within a batch.
        at: Time of the trigger, ms.
        trigger: What started it.
        name: What makes its id.
        event: The triggering event, for a flow that waits for events.
        steps: The match's events, for a flow that waits for a rule.
        features: Aggregates that were read.
        place: Kept for its record.
        number: Among those of the batch.
        complete_since: Rule time from which a match of the rule misses nothing, ms, or None.
        incomplete: Aggregates that may have missed something: by name the event time from which
            they miss nothing, ms; None if there are none.

    Attributes:
        lets: Values of the steps so far.
        scores: Likewise.
        models: Versions of the models that were asked.
        tables: Releases of the tables that were read.
        errors: Expressions that failed, by place in the flow.
        reasons: Why something is its default.
        values: What expressions see.
        step: Number of the next step.
    """

    __slots__ = (
        "at", "errors", "event", "features", "flow", "incomplete", "lets", "limits", "models",
        "name", "number", "place", "reasons", "resident", "scores", "step", "steps", "subject",
        "tables", "trigger", "values",
    )  # fmt: skip

    def __init__(
        self,
        flow: Flow,
        subject: str,
        resident: Resident,
        at: int,
        trigger: Trigger,
        name: Sequence[str],
        event: Event | None,
        steps: Mapping[str, list[Event]] | None,
        features: dict[str, Any],
        place: int,
        number: int,
        complete_since: int | None = None,
        incomplete: dict[str, int] | None = None,
    ) -> None:
        self.flow = flow
        self.subject = subject
        self.resident = resident
        self.limits = resident.state.limits
        self.at = at
        self.trigger = trigger
        self.name = name
        self.event = event
        self.steps = steps
        self.features = features
        self.incomplete = incomplete
        self.place = place
        self.number = number
        self.lets: dict[str, Any] = {}
        self.scores: dict[str, Any] = {}
        self.models: dict[str, int] = {}
        self.tables: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.values: dict[str, Any] = {
            "f": features, "at": at, "subject": subject, "score": self.scores,
            "complete_since": complete_since, "incomplete": incomplete or {},
        }  # fmt: skip
        self.step = 0
