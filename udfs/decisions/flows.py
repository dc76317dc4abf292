"""Flows: from a trigger over a limit, features and let-values to an action."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from udfs.decisions.fit import misfits
from udfs.decisions.limits import Limit, parse_limit
from udfs.decisions.steps import Let, Score, Step
from udfs.errors import ConfigInvalid, ExpressionInvalid, Fault
from udfs.events.event import Event
from udfs.expressions import CodeCache, Expression, Names, compile_expression
from udfs.features.lookup import Lookup
from udfs.features.names import Catalogue, OfSession
from udfs.schemas import schema_faults, validator
from udfs.scoring.inputs import Inputs
from udfs.slices import Work, finish

_ALWAYS: Final = ("f", "at", "subject", "incomplete")
"""Names that every flow's expressions know: features, trigger's time, whom it concerns, aggregates
that are younger than their window."""

_OF_RULES: Final = ("complete_since",)
"""Names that only flows triggered by a rule know."""

# Read at import: the folder that the code was shipped to may be gone later.
validator("udfs.decisions", "flow.schema.json")


class Flow:
    """One compiled flow.

    Args:
        name: Its name.
        version: Its version.
        events: Types that trigger it; None: not triggered by events.
        where: Condition on the triggering event, or None.
        rule: Name of the rule that triggers it, or None.
        on: ``match`` or ``timeout``.
        limit: How often for one subject, or None.
        aggregates: Names of those that it, or one of its models, reads.
        session: Features of the open session that it, or one of its models, reads.
        lookups: Tables that it, or one of its models, reads; each with the expression of the key,
            None for the subject.
        steps: Its logic, in order.
        when: Condition of the action, or None.
        topic: Where the decision goes.
        payload: (key, expression).
    """

    __slots__ = (
        "aggregates", "events", "limit", "lookups", "name", "on",
        "payload", "rule", "session", "steps", "topic", "version", "when", "where",
    )  # fmt: skip

    def __init__(
        self,
        *,
        name: str,
        version: int,
        events: tuple[str, ...] | None,
        where: Expression | None,
        rule: str | None,
        on: str,
        limit: Limit | None,
        aggregates: tuple[str, ...],
        session: tuple[str, ...],
        lookups: tuple[tuple[Lookup, Expression | None], ...],
        steps: tuple[Step, ...],
        when: Expression | None,
        topic: str,
        payload: tuple[tuple[str, Expression], ...],
    ) -> None:
        self.name = name
        self.version = version
        self.events = events
        self.where = where
        self.rule = rule
        self.on = on
        self.limit = limit
        self.aggregates = aggregates
        self.session = session
        self.lookups = lookups
        self.steps = steps
        self.when = when
        self.topic = topic
        self.payload = payload

    def triggered_by(self, event: Event) -> bool:
        """Tell whether an event of a fitting type starts this flow."""
        return self.where is None or self.where.test(event, None, None)

    @property
    def conditions(self) -> list[Expression]:
        """Expressions whose errors count as false."""
        asked = [step.when for step in self.steps if isinstance(step, Score)]
        return [each for each in (self.where, self.when, *asked) if each is not None]


class Context:
    """What the flows of a manifest may refer to.

    Args:
        rules: Steps of each rule, by the rule's name.
        catalogue: What can be read as a feature.
        models: What each model reads, by its name.
        topics: Topics that an action may write.
    """

    def __init__(
        self,
        rules: Mapping[str, tuple[str, ...]],
        catalogue: Catalogue,
        models: Mapping[str, Inputs],
        topics: Collection[str],
    ) -> None:
        self.rules = rules
        self.catalogue = catalogue
        self.models = models
        self.topics = topics


class _Compiler:
    """Compiles one flow and collects what is wrong with it."""

    def __init__(self, where: str, cache: CodeCache | None) -> None:
        self.where = where
        self.cache = cache
        self.faults: list[Fault] = []

    def fault(self, where: str, problem: str, cure: str) -> None:
        self.faults.append(Fault(f"{self.where}.{where}", problem, cure))

    def expression(self, text: str, names: Names, where: str) -> Expression | None:
        try:
            return compile_expression(text, names, self.cache, f"{self.where}.{where}")
        except ExpressionInvalid as error:
            self.faults.extend(error.faults)
            return None

    def limit(self, spec: Mapping[str, Any]) -> Limit | None:
        text = spec.get("limit", {}).get("per_user")
        if text is None:
            return None
        try:
            return parse_limit(text)
        except ValueError as error:
            self.fault("limit.per_user", str(error), "write count/duration, as in '1/1d'")
            return None

    def steps(
        self, spec: Mapping[str, Any], names: Names, context: Context
    ) -> tuple[list[Any], Names]:
        """Compile the logic; give what may be named after it as well."""
        found: list[Step | None] = []
        scores: set[str] = set()
        for i, step in enumerate(spec.get("logic", [])):
            place = f"logic[{i}]"
            if "score" in step:
                found.append(self.score(step, names, context, place, scores))
                continue
            name = step["let"]
            if name in names.values or name in names.steps:
                self.fault(f"{place}.let", f"the name {name!r} is taken", "choose another name")
            be = self.expression(step["be"], names, f"{place}.be")
            found.append(Let(name, be, f"{place}.be") if be else None)
            names = Names(event=names.event, steps=names.steps, values=(*names.values, name))
        return found, names

    def score(
        self,
        step: Mapping[str, Any],
        names: Names,
        context: Context,
        place: str,
        scores: set[str],
    ) -> Score | None:
        name, model = step["score"], step["model"]
        if name in scores:
            self.fault(f"{place}.score", f"the name {name!r} is taken", "choose another name")
        scores.add(name)
        if model not in context.models:
            self.fault(
                f"{place}.model",
                f"no model is called {model!r}",
                f"known are {', '.join(sorted(context.models)) or 'none'}: publish it first",
            )
        when = self.expression(step["when"], names, f"{place}.when") if "when" in step else None
        return Score(name, model, when, step.get("default"))

    def reads(
        self, spec: Mapping[str, Any], names: Names, context: Context
    ) -> tuple[list[str], list[str], list[tuple[Lookup, Expression | None]]]:
        """Find out where the features of the flow and of its models come from."""
        aggregates: dict[str, None] = {}
        session: dict[str, None] = {}
        columns: dict[str, dict[str, None]] = {}
        wanted = [(f"features[{i}]", name) for i, name in enumerate(spec.get("features", []))]
        for i, step in enumerate(spec.get("logic", [])):
            inputs = context.models.get(step.get("model", ""))
            if inputs is None:
                continue
            wanted += [(f"logic[{i}].model", name) for name in inputs.features]
            for problem in misfits(inputs, context.catalogue):
                cure = "train the model on what is there, or publish a table that has it"
                self.fault(f"logic[{i}].model", problem, cure)
        for place, name in wanted:
            try:
                found = context.catalogue.find(name)
            except ValueError as error:
                self.fault(
                    place,
                    str(error),
                    "name an aggregate, a column as table.column, or a session's feature",
                )
                continue
            if found is None:
                aggregates[name] = None
            elif isinstance(found, OfSession):
                session[name] = None
            else:
                columns.setdefault(found.table, {})[found.column] = None
        keys = self.keys(spec, names, context, columns)
        lookups = [
            (Lookup(context.catalogue.tables[table], list(of)), keys.get(table))
            for table, of in columns.items()
        ]
        return list(aggregates), list(session), lookups

    def keys(
        self,
        spec: Mapping[str, Any],
        names: Names,
        context: Context,
        columns: Collection[str],
    ) -> dict[str, Expression]:
        found = {}
        for table, text in spec.get("keys", {}).items():
            if table not in columns:
                self.fault(f"keys.{table}", f"nothing is read of a table {table!r}", "take it out")
            elif context.catalogue.keyed_by_subject(table):
                cure = "take it out; a table that is read by other keys is published as replicated"
                self.fault(f"keys.{table}", f"{table!r} is read by the subject alone", cure)
            key = self.expression(text, names, f"keys.{table}")
            if key is not None:
                found[table] = key
        for table in columns:
            if table not in spec.get("keys", {}) and not context.catalogue.keyed_by_subject(table):
                cure = f'write for example "keys": {{"{table}": "props.sku"}}'
                self.fault("keys", f"the table {table!r} is replicated and needs a key", cure)
        return found

    def references(self, spec: Mapping[str, Any], context: Context) -> None:
        topic = spec["action"].get("topic", "decisions")
        if topic not in context.topics:
            self.fault(
                "action.topic",
                f"the job does not write to the topic {topic!r}",
                f"use one of {', '.join(sorted(context.topics))} or start the job with it in "
                "action_topics",
            )

    def compile(self, spec: Mapping[str, Any], context: Context) -> Flow | None:
        trigger = spec["trigger"]
        rule = trigger.get("rule")
        steps: tuple[str, ...] = ()
        if rule is not None:
            if rule not in context.rules:
                self.fault(
                    "trigger.rule",
                    f"no rule is called {rule!r}",
                    f"known are {', '.join(sorted(context.rules)) or 'none'}",
                )
            steps = context.rules.get(rule, ())
        scores = ("score",) if any("score" in step for step in spec.get("logic", [])) else ()
        values = (*_ALWAYS, *(() if rule is None else _OF_RULES), *scores)
        names = Names(event=rule is None, steps=steps, values=values)
        where = None
        if "where" in trigger:
            where = self.expression(trigger["where"], Names(event=True), "trigger.where")
        self.references(spec, context)
        limit = self.limit(spec)
        keyed = Names(event=rule is None, steps=steps, values=("at", "subject"))
        aggregates, session, lookups = self.reads(spec, keyed, context)
        logic, names = self.steps(spec, names, context)
        action = spec["action"]
        when = self.expression(action["when"], names, "action.when") if "when" in action else None
        payload = [
            (key, self.expression(text, names, f"action.payload.{key}"))
            for key, text in action["payload"].items()
        ]
        if self.faults:
            return None
        events = trigger.get("event")
        return Flow(
            name=spec["flow"],
            version=spec["version"],
            events=None
            if rule is not None
            else (events,)
            if isinstance(events, str)
            else tuple(events),
            where=where,
            rule=rule,
            on=trigger.get("on", "match"),
            limit=limit,
            aggregates=tuple(aggregates),
            session=tuple(session),
            lookups=tuple(lookups),
            steps=tuple(logic),
            when=when,
            topic=action.get("topic", "decisions"),
            payload=tuple(payload),  # type: ignore[arg-type]  # no fault: none of them is None
        )


def compile_flows(
    specs: Sequence[Any], context: Context, cache: CodeCache | None = None, where: str = "flows"
) -> list[Flow]:
    """Do `compiling` in one go."""
    return finish(compiling(specs, context, cache, where))


def compiling(
    specs: Sequence[Any], context: Context, cache: CodeCache | None = None, where: str = "flows"
) -> Work[list[Flow]]:
    """Compile all flows of a manifest, one at a time.

    Args:
        specs: Flow specs, as decoded from JSON.
        context: What they may refer to.
        cache: Compiled code of the expressions.
        where: JSON path of the list.

    Raises:
        ConfigInvalid: With all faults of all flows.
    """
    flows: list[Flow] = []
    faults: list[Fault] = []
    names: dict[str, int] = {}
    for i, spec in enumerate(specs):
        place = f"{where}[{i}]"
        wrong = schema_faults("udfs.decisions", "flow.schema.json", spec, place)
        if wrong:
            faults.extend(wrong)
            continue
        if spec["flow"] in names:
            faults.append(
                Fault(
                    f"{place}.flow",
                    f"the flow {spec['flow']!r} stands at {where}[{names[spec['flow']]}] already",
                    "give each flow a name of its own",
                )
            )
        names[spec["flow"]] = i
        compiler = _Compiler(place, cache)
        flow = compiler.compile(spec, context)
        faults.extend(compiler.faults)
        if flow is not None:
            flows.append(flow)
        yield
    if faults:
        raise ConfigInvalid(faults)
    return flows
