"""One revision of everything that is pushed, compiled: rules, aggregates and flows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from feature_dist.pointer import TablePointer
from feature_dist.pointer import read_pointers as read_table_pointers
from udfs.aggregation import Plan
from udfs.aggregation.derived import needed
from udfs.aggregation.reading import reading
from udfs.decisions.fit import inputs_of
from udfs.decisions.flows import Context, Flow, compiling
from udfs.decisions.report import RuleReport
from udfs.decisions.resources import Resources
from udfs.errors import ConfigInvalid, Fault
from udfs.expressions import CodeCache
from udfs.features.names import Catalogue
from udfs.matching import Layout, Machine
from udfs.scoring.inputs import Inputs
from udfs.scoring.pointer import read_pointers as read_model_pointers
from udfs.slices import Work, finish
from udfs.stitching.stitcher import FEATURES

_DAY_MS: Final = 86_400_000

Interest: TypeAlias = tuple[bool, bool, Sequence[Flow]]
"""Who wants an event type: aggregates, rules, flows."""


class Program:
    """What a shard runs; immutable but for its counters, and `resources`.

    Args:
        revision: Of the manifest, 0 for "nothing was ever published".
        machine: The rules.
        plan: The aggregates that any flow reads.
        flows: The flows, in the manifest's order.
        payload: The manifest that this was compiled from, as the job keeps it.
        unread: Names of aggregates that no flow reads, and that are not kept.

    Attributes:
        resources: Tables and models that it reads; whoever runs it gives them, and a replay of a
            journal does without.
        report: What its rules have to say beside their matches.
        reads_session: Whether any flow reads a feature of sessions.
    """

    __slots__ = (
        "_errors_taken", "_told", "flows", "flows_by_rule", "flows_by_type", "machine", "payload",
        "plan", "reads_session", "report", "resources", "revision", "unread",
    )  # fmt: skip

    def __init__(
        self,
        revision: int,
        machine: Machine,
        plan: Plan,
        flows: Sequence[Flow],
        payload: bytes = b"",
        unread: Sequence[str] = (),
    ) -> None:
        self.revision = revision
        self.unread = tuple(unread)
        self.payload = payload
        self.machine = machine
        self.plan = plan
        self.flows = tuple(flows)
        self.reads_session = any(flow.session for flow in flows)
        self.resources = Resources()
        self.report = RuleReport(machine)
        self._errors_taken = 0
        self._told: dict[str, int] = {}
        self.flows_by_type: dict[str, list[Flow]] = {}
        self.flows_by_rule: dict[tuple[str, str], list[Flow]] = {}
        for flow in flows:
            for event_type in flow.events or ():
                self.flows_by_type.setdefault(event_type, []).append(flow)
            if flow.rule is not None:
                self.flows_by_rule.setdefault((flow.rule, flow.on), []).append(flow)

    def retention_ms(self, dedupe_window_ms: int, subject_ttl_ms: int) -> int:
        """How long after its last event a subject's state can still matter, ms.

        Args:
            dedupe_window_ms: Event ids are kept so long.
            subject_ttl_ms: Values without a window are kept so long.
        """
        if self.plan.retention_ms is None:
            return max(subject_ttl_ms, dedupe_window_ms)
        periods = [flow.limit.period_ms for flow in self.flows if flow.limit is not None]
        return max(self.plan.retention_ms, dedupe_window_ms, *periods, 1)

    def interests(self) -> tuple[dict[str, Interest], Interest | None]:
        """Give who wants an event: by the types that anybody names, and for all others.

        None if nobody wants the other types.
        """
        plan, machine = self.plan.event_types, self.machine.event_types
        others: Interest = (plan is None, machine is None, ())
        named = {*(plan or ()), *(machine or ()), *self.flows_by_type}
        interests: dict[str, Interest] = {
            name: (
                plan is None or name in plan,
                machine is None or name in machine,
                tuple(self.flows_by_type.get(name, ())),
            )
            for name in named
        }
        return interests, others if any(others) else None

    def take_errors(self) -> int:
        """Give how many expressions ended in an error since this was asked last.

        Only rules, aggregates and the conditions of flows; the rest a decision tells itself.
        """
        counters = self.plan.counters
        errors = counters["where_errors"] + counters["value_errors"]
        errors += self.machine.expression_errors
        for flow in self.flows:
            errors += sum(part.errors for part in flow.conditions)
        taken, self._errors_taken = self._errors_taken, errors
        return errors - taken

    def take_passed_over(self) -> dict[str, int]:
        """Give what aggregates have passed over since this was asked last, by reason; no zeros."""
        now = self.plan.counters
        news = {reason: count - self._told.get(reason, 0) for reason, count in now.items()}
        self._told = now
        return {reason: count for reason, count in news.items() if count}

    @classmethod
    def compile(
        cls,
        revision: int,
        parts: Mapping[str, Sequence[Any]],
        topics: Collection[str],
        cache: CodeCache | None = None,
        payload: bytes = b"",
    ) -> Program:
        """Do `compiling` in one go."""
        return finish(cls.compiling(revision, parts, topics, cache, payload))

    @classmethod
    def compiling(
        cls,
        revision: int,
        parts: Mapping[str, Sequence[Any]],
        topics: Collection[str],
        cache: CodeCache | None = None,
        payload: bytes = b"",
        before: Program | None = None,
        layout: Layout | None = None,
    ) -> Work[Program]:
        """Compile the parts of a manifest and check them against each other, piece by piece.

        Args:
            revision: Of the manifest.
            parts: Lists by name: ``rules``, ``aggregates``, ``flows``, ``features``, ``models``;
                pointers to tables and models are completed. ``finishing``: old rules whose
                runs may go on.
            topics: Topics that actions may write.
            cache: Compiled code of expressions; filled with what it lacks.
            payload: The manifest itself, kept beside the journals that depend on it.
            before: What is in force: its state is taken over more quickly.
            layout: `Machine.layout` of what has written the state, if `before` is not known.

        Raises:
            ConfigInvalid: With all faults of all parts.
        """
        faults: list[Fault] = []
        machine = specs = None
        try:
            machine = yield from Machine.compiling(
                parts.get("rules", ()), cache, previous=parts.get("finishing", ()),
                before=None if before is None else before.machine, layout=layout,
            )  # fmt: skip
        except ConfigInvalid as error:
            faults.extend(error.faults)
        try:
            specs = yield from reading(parts.get("aggregates", ()), cache, "aggregates")
        except ConfigInvalid as error:
            faults.extend(error.faults)
        tables: list[TablePointer] = []
        models: dict[str, Inputs] = {}
        try:
            tables = read_table_pointers(parts.get("features", ()))
        except ConfigInvalid as error:
            faults.extend(error.faults)
        try:
            models = {
                pointer.model: inputs_of(pointer)
                for pointer in read_model_pointers(parts.get("models", ()))
            }
        except ConfigInvalid as error:
            faults.extend(error.faults)
        names = _named(parts.get("aggregates", ()), "aggregate")
        context = Context(
            rules=machine.steps_by_rule() if machine else _named_steps(parts.get("rules", ())),
            catalogue=Catalogue(names, {pointer.table: pointer for pointer in tables}, FEATURES),
            models=models,
            topics=topics,
        )
        flows: list[Flow] = []
        try:
            flows = yield from compiling(parts.get("flows", ()), context, cache)
        except ConfigInvalid as error:
            faults.extend(error.faults)
        if faults or machine is None or specs is None:
            raise ConfigInvalid(faults)
        kept = needed(specs, {name for flow in flows for name in flow.aggregates})
        unread = {one.name: None for one in specs}
        for one in kept:
            del unread[one.name]
        plan = yield from Plan.making(kept)
        return cls(revision, machine, plan, flows, payload, list(unread))


def _named(specs: Sequence[Any], key: str) -> tuple[str, ...]:
    """Names of specs that have faults, so that what refers to them is not blamed as well."""
    return tuple(
        spec[key] for spec in specs if isinstance(spec, dict) and isinstance(spec.get(key), str)
    )


def _named_steps(specs: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        if isinstance(spec, dict) and isinstance(spec.get("rule"), str):
            pattern = spec.get("pattern")
            found[spec["rule"]] = _named(pattern if isinstance(pattern, list) else (), "step")
    return found
