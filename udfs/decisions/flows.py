"""Flows: from a trigger over a limit, features and let-values to an action."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from udfs.decisions.limits import Limit, parse_limit
from udfs.errors import ConfigInvalid, ExpressionInvalid, Fault
from udfs.events.event import Event
from udfs.expressions import CodeCache, Expression, Names, compile_expression
from udfs.schemas import schema_faults, validator

_ALWAYS: Final = ("f", "at", "subject")
"""Names that every flow's expressions know: features, trigger's time, whom it concerns."""

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
        features: Names that it reads.
        lets: (name, expression) in order.
        when: Condition of the action, or None.
        topic: Where the decision goes.
        payload: (key, expression).
    """

    __slots__ = (
        "events", "features", "lets", "limit", "name", "on",
        "payload", "rule", "topic", "version", "when", "where",
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
        features: tuple[str, ...],
        lets: tuple[tuple[str, Expression], ...],
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
        self.features = features
        self.lets = lets
        self.when = when
        self.topic = topic
        self.payload = payload

    def triggered_by(self, event: Event) -> bool:
        """Tell whether an event of a fitting type starts this flow."""
        return self.where is None or self.where.test(event, None, None)


class Context:
    """What the flows of a manifest may refer to.

    Args:
        rules: Steps of each rule, by the rule's name.
        aggregates: Names that can be read as features.
        topics: Topics that an action may write.
    """

    def __init__(
        self,
        rules: Mapping[str, tuple[str, ...]],
        aggregates: Collection[str],
        topics: Collection[str],
    ) -> None:
        self.rules = rules
        self.aggregates = aggregates
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

    def lets(self, spec: Mapping[str, Any], names: Names) -> tuple[list[Any], Names]:
        found = []
        for i, step in enumerate(spec.get("logic", [])):
            name = step["let"]
            if name in names.values or name in names.steps:
                self.fault(f"logic[{i}].let", f"the name {name!r} is taken", "choose another name")
            be = self.expression(step["be"], names, f"logic[{i}].be")
            found.append((name, be))
            names = Names(event=names.event, steps=names.steps, values=(*names.values, name))
        return found, names

    def references(self, spec: Mapping[str, Any], context: Context) -> None:
        for i, feature in enumerate(spec.get("features", [])):
            if feature not in context.aggregates:
                self.fault(
                    f"features[{i}]",
                    f"no aggregate is called {feature!r}",
                    f"known are {', '.join(sorted(context.aggregates)) or 'none'}",
                )
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
        names = Names(event=rule is None, steps=steps, values=_ALWAYS)
        where = None
        if "where" in trigger:
            where = self.expression(trigger["where"], Names(event=True), "trigger.where")
        self.references(spec, context)
        limit = self.limit(spec)
        lets, names = self.lets(spec, names)
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
            features=tuple(spec.get("features", ())),
            lets=tuple(lets),
            when=when,
            topic=action.get("topic", "decisions"),
            payload=tuple(payload),  # type: ignore[arg-type]  # no fault: none of them is None
        )


def compile_flows(
    specs: Sequence[Any], context: Context, cache: CodeCache | None = None, where: str = "flows"
) -> list[Flow]:
    """Compile all flows of a manifest.

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
    if faults:
        raise ConfigInvalid(faults)
    return flows
