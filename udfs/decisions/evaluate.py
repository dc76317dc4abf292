"""Works out what decisions under way need: columns of tables, values of steps, scores of models.

All of a batch at once: one look-up a table and one call a model, whatever the flows. Steps run in
waves: each decision goes on until it wants a score, then the models are asked for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from udfs.decisions.flows import Flow
from udfs.decisions.pending import Pending
from udfs.decisions.resources import Resources
from udfs.decisions.steps import Let, Score
from udfs.errors import MillraceError
from udfs.expressions import EvaluationError

NOT_A_NUMBER: Final = "NOT_A_NUMBER"
"""A feature is null, or nothing a model can take: the model's own default stands for it."""

NOT_FINITE: Final = "NOT_FINITE"
"""The model has answered with something that is no number."""

MODEL_FAILED: Final = "MODEL_FAILED"
"""The model could not be asked."""

_log = structlog.get_logger("millrace.evaluate")


def evaluate(waiting: Sequence[Pending], resources: Resources, counts: dict[str, int]) -> None:
    """Run all steps of decisions.

    Args:
        waiting: In any order; none depends on another.
        resources: Of the program.
        counts: Of the shard.
    """
    by_flow: dict[Flow, list[Pending]] = {}
    for pending in waiting:
        if pending.flow.lookups:
            by_flow.setdefault(pending.flow, []).append(pending)
    for flow, some in by_flow.items():
        _look_up(flow, some, resources, counts)
    under_way = [pending for pending in waiting if pending.flow.steps]
    while under_way:  # what has no step left is not looked at once more
        asked: dict[str, list[Pending]] = {}
        for pending in under_way:
            model = _until_score(pending)
            if model is not None:
                asked.setdefault(model, []).append(pending)
        for model, some in asked.items():
            _score(model, some, resources, counts)
        under_way = [
            pending
            for some in asked.values()
            for pending in some
            if pending.step < len(pending.flow.steps)
        ]


def _look_up(
    flow: Flow, some: Sequence[Pending], resources: Resources, counts: dict[str, int]
) -> None:
    features = [pending.features for pending in some]
    reasons = [pending.reasons for pending in some]
    times = [pending.at for pending in some]
    for lookup, key in flow.lookups:
        keys: list[str | None]
        if key is None:
            keys = [pending.subject for pending in some]
        else:
            keys = []
            for pending in some:
                try:
                    found = key.value(pending.event, pending.steps, pending.values)
                except EvaluationError as error:
                    pending.errors[f"keys.{lookup.table}"] = str(error)
                    found = None
                keys.append(_text(found))
        source, table = resources.tables[lookup.table], lookup.table
        release = source.release
        for pending in some:
            pending.tables[table] = release
        counts["failed_reads"] += lookup.fill(source, keys, times, features, reasons)


def _text(key: object) -> str | None:
    """A key as the publisher writes it: integers in digits."""
    if isinstance(key, str):
        return key or None
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else None


def _until_score(pending: Pending) -> str | None:
    """Run steps up to the next one that asks a model; give that model."""
    steps = pending.flow.steps
    while pending.step < len(steps):
        step = steps[pending.step]
        if isinstance(step, Let):
            try:
                value = step.be.value(pending.event, pending.steps, pending.values)
            except EvaluationError as error:
                value = None
                pending.errors[step.where] = str(error)
            pending.lets[step.name] = pending.values[step.name] = value
        elif step.when is None or step.when.test(pending.event, pending.steps, pending.values):
            return step.model
        pending.step += 1
    return None


def _score(
    name: str, some: Sequence[Pending], resources: Resources, counts: dict[str, int]
) -> None:
    model = resources.models[name]
    counts["scored"] += len(some)
    failed = NOT_FINITE
    try:
        scores = model.score([pending.features for pending in some])
    except (MillraceError, ValueError, RuntimeError) as error:
        _log.exception("a model failed", model=name, version=model.version, error=str(error))
        scores, failed = [None] * len(some), MODEL_FAILED
    for pending, score in zip(some, scores, strict=True):
        step = pending.flow.steps[pending.step]
        assert isinstance(step, Score)  # `_until_score` stopped there
        pending.step += 1
        pending.models[name] = model.version
        if score is None:
            pending.reasons[f"score.{step.name}"] = failed
        pending.scores[step.name] = step.default if score is None else score
        if None in pending.features.values():
            for feature in model.inputs.defaulted(pending.features):
                pending.reasons.setdefault(feature, NOT_A_NUMBER)
