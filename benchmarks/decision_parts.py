"""A scored decision, part by part, each timed where it stands.

What the cores do in one go is written down once more between public seams, with a look at the
clock after each part. Each part alone in a loop would be twice as fast: the whole does not fit
into the processor's caches, a part does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from feature_dist.subscriber.table import Table
from udfs.decisions.decision import Decision, Reason, Trigger, decision_id
from udfs.decisions.flows import Flow
from udfs.decisions.pending import Pending
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet, Record, Topics
from udfs.decisions.residents import Resident
from udfs.events.event import Event
from udfs.scoring.model import Model

TOPICS: Final = Topics()

PARTS: Final = (
    "trigger", "reading aggregates", "RocksDB get", "decoding the row", "building the tensor",
    "LiteRT", "condition, payload", "record, encoded",
)  # fmt: skip
"""In the order in which they happen."""

(_TRIGGER, _AGGREGATES, _GET, _ROW, _TENSOR, _LITERT, _PAYLOAD, _RECORD) = range(len(PARTS))


class Case(NamedTuple):
    """One trigger.

    Args:
        subject: Whom it concerns.
        resident: The subject's state, decoded.
        event: The trigger; the state has taken it in.
    """

    subject: str
    resident: Resident
    event: Event


class _Found:
    """A table that has found everything already."""

    def __init__(self, release: int) -> None:
        self.release = release
        self.values: list[bytes | None] = []

    def get(self, keys: list[bytes]) -> list[bytes | None]:
        """See `udfs.features.lookup.Source`."""
        del keys
        return self.values


class Parts:
    """Decides like `udfs.decisions.decider.Decider`, and keeps times.

    Args:
        program: Has one flow, which reads one table by the subject and asks one model.
        table: What the program's resources hold.
        model: Likewise.
    """

    def __init__(self, program: Program, table: Table, model: Model) -> None:
        self._program = program
        (self._flow,) = program.flows
        ((self._lookup, _),) = self._flow.lookups
        self._table = table
        self._model = model
        self._found = _Found(table.release)

    def run(self, batches: Sequence[Sequence[Case]]) -> list[float]:
        """Decide.

        Args:
            batches: The triggers.

        Returns:
            CPU time of each of `PARTS`, µs in all. Looked at is the wall clock, which is cheap;
            what others took of it is taken off evenly.
        """
        spent = [0] * len(PARTS)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for batch in batches:
            self.decide(batch, spent)
        share = (time.process_time() - cpu_s) / (time.perf_counter() - wall_s)
        return [ns * share / 1_000 for ns in spent]

    def decide(self, batch: Sequence[Case], spent: list[int]) -> list[Record]:
        """Decide one batch.

        Args:
            batch: The triggers.
            spent: Gets the time of each of `PARTS`, ns added.
        """
        flow, now = self._flow, time.perf_counter_ns
        outlet = Outlet(TOPICS, self._program.revision)
        waiting: list[Pending] = []
        last = now()
        for case in batch:
            event, features = case.event, self._aggregates(case)
            spent[_AGGREGATES] += (at := now()) - last
            if not flow.triggered_by(event):
                raise ValueError("all of them are triggers")
            name, place = [event.event_id], outlet.place()
            trigger = Trigger("event", [event.event_id])
            waiting.append(
                Pending(
                    flow, case.subject, case.resident, event.event_time, trigger, name, event,
                    None, features, place, place,
                )
            )  # fmt: skip
            spent[_TRIGGER] += (last := now()) - at
        keys: list[str | None] = [each.subject for each in waiting]
        self._found.values = self._table.get([each.subject.encode() for each in waiting])
        spent[_GET] += (at := now()) - last
        rows = [each.features for each in waiting]
        times, reasons = [each.at for each in waiting], [each.reasons for each in waiting]
        self._lookup.fill(self._found, keys, times, rows, reasons)
        spent[_ROW] += (last := now()) - at
        tensors = self._model.inputs.tensors(rows)
        spent[_TENSOR] += (at := now()) - last
        scores = self._model.engine.run(tensors).ravel().tolist()
        spent[_LITERT] += (last := now()) - at
        for each, score in zip(waiting, scores, strict=True):
            each.scores["ctr"] = score
            payload = _payload_of(flow, each)
            spent[_PAYLOAD] += (at := now()) - last
            self._record(outlet, each, payload)
            spent[_RECORD] += (last := now()) - at
        records = outlet.records
        spent[_RECORD] += now() - last
        return records

    def _aggregates(self, case: Case) -> dict[str, Any]:
        resident, program = case.resident, self._program
        return program.plan.read(
            resident.aggregates_of(program),
            self._flow.aggregates,
            max(case.event.event_time, resident.state.newest),
        )

    def _record(self, outlet: Outlet, pending: Pending, payload: dict[str, Any]) -> None:
        flow, subject = self._flow, pending.subject
        pending.tables["user"], pending.models["ctr"] = self._found.release, self._model.version
        text = None if flow.when is None else flow.when.text
        reason = Reason("CONDITION_TRUE", text, pending.errors, pending.reasons)
        outlet.decision(
            pending.place,
            flow.topic,
            Decision(
                decision_id(flow.name, subject, pending.name), flow.name, flow.version, subject,
                pending.at, self._program.revision, pending.trigger, pending.features,
                pending.lets, payload, reason, pending.scores, pending.tables, pending.models,
            ),
        )  # fmt: skip


def _payload_of(flow: Flow, pending: Pending) -> dict[str, Any]:
    event, values = pending.event, pending.values
    if flow.when is None or not flow.when.test(event, None, values):
        raise ValueError("all of them are decided")
    return {key: each.value(event, None, values) for key, each in flow.payload}
