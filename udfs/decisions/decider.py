"""Runs flows: trigger and aggregates at once; limit, steps, condition, action with the batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from udfs.decisions.completeness import Completeness
from udfs.decisions.decision import Decision, Reason, Trigger, decision_id
from udfs.decisions.evaluate import evaluate
from udfs.decisions.flows import Flow
from udfs.decisions.journal import Outcomes
from udfs.decisions.pending import Pending
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet
from udfs.decisions.residents import Resident
from udfs.events.event import Event
from udfs.expressions import EvaluationError
from udfs.matching import Match
from udfs.stitching import Stitcher

Killed = Callable[[str, str | None], bool]
"""Tells by flow and rule whether a kill switch is thrown."""


class Decider:
    """Decides for the subjects of one shard.

    Args:
        program: Whose flows run.
        counts: Counters of the shard; see `udfs.decisions.header.COUNTS`.
        completeness: Of the program's rules and aggregates in this shard.
        stitcher: Of the shard's sessions.
    """

    def __init__(
        self,
        program: Program,
        counts: dict[str, int],
        completeness: Completeness,
        stitcher: Stitcher,
    ) -> None:
        self._program = program
        self._counts = counts
        self._completeness = completeness
        self._stitcher = stitcher
        self._waiting: list[Pending] = []

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
        """Note the flows that an event triggers.

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
                self._wait(outlet, flow, subject, resident, at, trigger, name, event, None)

    def on_matches(
        self,
        outlet: Outlet,
        subject: str,
        resident: Resident,
        matches: Sequence[Match],
        killed: Killed,
    ) -> None:
        """Note the flows that matches trigger, in the order of the matches."""
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
                since = self._completeness.of(match, resident.state.partition)
                young = since if since is not None and match.at < since else None
                trigger = Trigger("rule", ids, match.rule, match.version, match.kind, young)
                self._wait(
                    outlet, flow, subject, resident, match.at, trigger, name, None, match.steps,
                    since,
                )  # fmt: skip

    def _wait(
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
        complete_since: int | None = None,
    ) -> None:
        state = resident.state
        limit = flow.limit
        if limit is not None:
            times = state.limits.get(flow.name)
            # Nothing is forgotten here: decisions that wait are earlier and may still count it.
            if times and not limit.allows(times, at):
                self._counts["limited"] += 1
                return
        features: dict[str, Any] = {}
        incomplete = None
        if flow.aggregates:
            # A late event may be newer than a subject that came over from another partition.
            read_at = max(at, state.newest)
            program = self._program
            aggregates = resident.aggregates_of(program)
            features = program.plan.read(aggregates, flow.aggregates, read_at)
            incomplete = self._completeness.missing(flow, state.partition, at)
            if aggregates.cut:
                cut = program.plan.cut(aggregates, flow.aggregates, at)
                incomplete = ({} if incomplete is None else incomplete) | cut or None
        if flow.session:
            session = self._stitcher.features(resident.session_of(self._stitcher), at)
            for feature in flow.session:
                features[feature] = session[feature]
        resident.waits = True
        waiting = self._waiting
        waiting.append(
            Pending(
                flow, subject, resident, at, trigger, name, event, steps, features,
                outlet.place(), len(waiting), complete_since, incomplete,
            )
        )  # fmt: skip

    def settle(self, outlet: Outlet, known: Outcomes | None = None) -> Outcomes | None:
        """Decide all that waits, at the end of a batch.

        Of decisions that count against one limit each waits for the one before; all others are
        worked out together.

        Args:
            outlet: The one that the triggers were given.
            known: What became of them when the batch was worked off first: nothing is evaluated
                then and nothing sent, so that a replay needs neither tables nor models.

        Returns:
            What became of them; None if nothing waited.
        """
        if not self._waiting:
            return None
        waiting = self._waiting
        self._waiting = []
        counted: dict[str, int] = defaultdict(int)
        decided = bytearray(len(waiting)) if known is None else known.decided
        rest = waiting
        while rest:
            ready, rest = self._ready(rest)
            if known is None:
                evaluate(ready, self._program.resources, counted)
            for pending in ready:
                if known is None:
                    assert isinstance(decided, bytearray)
                    decided[pending.number] = self._conclude(outlet, pending, counted)
                if decided[pending.number] and pending.flow.limit is not None:
                    pending.limits.setdefault(pending.flow.name, []).append(pending.at)
        for pending in waiting:
            pending.resident.waits = False
        if known is None:
            known = Outcomes(bytes(decided), {name: n for name, n in counted.items() if n})
        for name, count in known.counted.items():
            self._counts[name] += count
        return known

    def _ready(self, rest: Sequence[Pending]) -> tuple[list[Pending], list[Pending]]:
        """Split off those that no limit holds up; drop those that one forbids."""
        ready: list[Pending] = []
        later: list[Pending] = []
        held: set[tuple[str, str]] = set()
        for pending in rest:
            limit = pending.flow.limit
            if limit is not None:
                name = (pending.subject, pending.flow.name)
                if name in held:
                    later.append(pending)
                    continue
                times = pending.limits.get(pending.flow.name)
                if times:
                    limit.forget(times, pending.at)
                    if not limit.allows(times, pending.at):
                        self._counts["limited"] += 1
                        continue
                held.add(name)
            ready.append(pending)
        return ready, later

    def _conclude(self, outlet: Outlet, pending: Pending, counted: dict[str, int]) -> bool:
        """Apply the condition and make the record; tell whether there was a decision."""
        flow, event, steps, values = pending.flow, pending.event, pending.steps, pending.values
        when = flow.when
        errors = pending.errors
        counted["defaulted"] += len(pending.reasons)
        if when is not None and not when.test(event, steps, values):
            counted["refused"] += 1
            return False
        payload = {}
        for key, expression in flow.payload:
            try:
                payload[key] = expression.value(event, steps, values)
            except EvaluationError as error:
                payload[key] = None
                errors[f"action.payload.{key}"] = str(error)
        counted["expression_errors"] += len(errors)
        counted["decisions"] += 1
        reason = Reason(
            "NO_CONDITION" if when is None else "CONDITION_TRUE",
            None if when is None else when.text,
            errors,
            pending.reasons,
            pending.incomplete,
        )
        outlet.decision(
            pending.place,
            flow.topic,
            Decision(
                decision_id(flow.name, pending.subject, pending.name), flow.name, flow.version,
                pending.subject, pending.at, self._program.revision, pending.trigger,
                pending.features, pending.lets, payload, reason, pending.scores, pending.tables,
                pending.models,
            ),
        )  # fmt: skip
        return True
