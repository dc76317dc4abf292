"""Runs flows: trigger, limit, features, let-values, condition, action."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from udfs.decisions.decision import Decision, Reason, Trigger, decision_id
from udfs.decisions.flows import Flow
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet
from udfs.decisions.residents import Resident
from udfs.events.event import Event
from udfs.expressions import EvaluationError
from udfs.matching import Match

Killed = Callable[[str, str | None], bool]
"""Tells by flow and rule whether a kill switch is thrown."""


class Decider:
    """Decides for the subjects of one shard.

    Args:
        program: Whose flows run.
        counts: Counters of the shard; see `udfs.decisions.header.COUNTS`.
    """

    def __init__(self, program: Program, counts: dict[str, int]) -> None:
        self._program = program
        self._counts = counts

    def on_event(
        self,
        outlet: Outlet,
        subject: str,
        resident: Resident,
        event: Event,
        at: int,
        flows: Sequence[Flow],
        killed: Killed,
    ) -> None:
        """Run the flows that an event may trigger.

        Args:
            outlet: Takes the decisions.
            subject: Whom it concerns.
            resident: Its state, the event included.
            event: The trigger.
            at: Time of the subject's rules, ms.
            flows: Those that wait for the event's type.
            killed: Kill switches.
        """
        for flow in flows:
            if flow.triggered_by(event):
                if killed(flow.name, None):
                    self._counts["killed"] += 1
                    continue
                trigger = Trigger("event", [event.event_id])
                name = [event.event_id]
                self._decide(outlet, flow, subject, resident, at, trigger, name, event, None)

    def on_matches(
        self,
        outlet: Outlet,
        subject: str,
        resident: Resident,
        matches: Sequence[Match],
        killed: Killed,
    ) -> None:
        """Run the flows that matches trigger, in the order of the matches."""
        self._counts["matches"] += len(matches)
        for match in matches:
            for flow in self._program.flows_by_rule.get((match.rule, match.kind), ()):
                if killed(flow.name, match.rule):
                    self._counts["killed"] += 1
                    continue
                name = [match.rule]
                ids: list[str] = []
                for step, events in match.steps.items():
                    taken = [event.event_id for event in events]
                    ids.extend(taken)
                    name.append(step)
                    name.extend(taken)
                trigger = Trigger("rule", ids, match.rule, match.version, match.kind)
                steps = match.steps
                self._decide(outlet, flow, subject, resident, match.at, trigger, name, None, steps)

    def _decide(
        self,
        outlet: Outlet,
        flow: Flow,
        subject: str,
        resident: Resident,
        at: int,
        trigger: Trigger,
        name: Sequence[str],
        event: Event | None,
        steps: Mapping[str, list[Event]] | None,
    ) -> None:
        state = resident.state
        limit = flow.limit
        times = state.limits.get(flow.name) if limit is not None else None
        if limit is not None and times and not limit.allows(times, at):
            self._counts["limited"] += 1
            return
        program = self._program
        features: dict[str, Any] = {}
        if flow.features:
            # A late event may be newer than a subject that came over from another partition.
            read_at = max(at, state.newest)
            features = program.plan.read(resident.aggregates_of(program), flow.features, read_at)
        errors: dict[str, str] = {}
        values: dict[str, Any] = {"f": features, "at": at, "subject": subject}
        lets: dict[str, Any] = {}
        for i, (let, expression) in enumerate(flow.lets):
            try:
                lets[let] = expression.value(event, steps, values)
            except EvaluationError as error:
                lets[let] = None
                errors[f"logic[{i}].be"] = str(error)
            values[let] = lets[let]
        if flow.when is not None and not flow.when.test(event, steps, values):
            self._counts["refused"] += 1
            return
        payload: dict[str, Any] = {}
        for key, expression in flow.payload:
            try:
                payload[key] = expression.value(event, steps, values)
            except EvaluationError as error:
                payload[key] = None
                errors[f"action.payload.{key}"] = str(error)
        self._counts["expression_errors"] += len(errors)
        if limit is not None:
            state.limits.setdefault(flow.name, []).append(at)
        self._counts["decisions"] += 1
        when = flow.when
        reason = Reason(
            "NO_CONDITION" if when is None else "CONDITION_TRUE",
            None if when is None else when.text,
            errors,
        )
        outlet.decision(
            flow.topic,
            Decision(
                decision_id(flow.name, subject, name), flow.name, flow.version, subject, at,
                program.revision, trigger, features, lets, payload, reason,
            ),
        )  # fmt: skip
