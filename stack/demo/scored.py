"""The decisions that read tables and asked a model: what they came to, and whether that is right.

Pure functions of what was seen and what was pushed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stack.demo.pushed import Pushed, in_words
from stack.demo.tally import Seen, Tally, percentile

FLOW: Final = "offer"
TABLES: Final = frozenset({"user", "item"})
MODELS: Final = frozenset({"ctr_small"})
SCORE: Final = "ctr"

_QUANTILES: Final = (0.1, 0.5, 0.9)
_WRONG: Final = ("READ_FAILED", "MODEL_FAILED", "NOT_FINITE")
"""Reasons of defaults that are failures; the others are a matter of the data."""


@dataclass(frozen=True, slots=True)
class Group:
    """Scored decisions on the same releases and versions.

    Args:
        versions: In words.
        count: How many.
        scores: The 0.1, 0.5 and 0.9 quantiles.
    """

    versions: str
    count: int
    scores: tuple[float, float, float]


def groups(decisions: Sequence[Seen]) -> list[Group]:
    """Give scored decisions by releases and versions, in the order in which these came."""
    found: dict[str, list[float]] = {}
    for seen in decisions:
        if seen.models:
            scores = found.setdefault(in_words(seen.tables, seen.models), [])
            scores += [value for value in seen.scores.values() if _is_number(value)]
    given = []
    for versions, scores in found.items():
        scores.sort()
        low, middle, high = (percentile(scores, share) for share in _QUANTILES)
        given.append(Group(versions, len(scores), (low, middle, high)))
    return given


def quantiles(group: Group) -> str:
    """Give the quantiles of the scores, in words."""
    return " ".join(f"{value:.2f}" for value in group.scores)


def by_reason(tally: Tally) -> str:
    """Give how much was a default, by reason, in words; without what it was."""
    found: Counter[str] = Counter()
    for (reason, _), count in tally.defaults.items():
        found[reason] += count
    return ", ".join(f"{reason} {count:,}" for reason, count in found.most_common()) or "none"


def summary(tally: Tally) -> list[str]:
    """Give the closing lines."""
    lines = [f"the flow {FLOW} by releases and versions, quantiles 0.1, 0.5, 0.9 of the score:"]
    lines += [f"  {group.count:8,} {group.versions}: {quantiles(group)}"
              for group in groups(tally.decisions)]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for (reason, name), count in tally.defaults.most_common():
        reasons.setdefault(reason, []).append(f"{name} {count:,}")
    told = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in reasons.items())
    lines += [f"defaults by reason: {told or 'none'}",
              f"failed reads: {tally.total('failed_reads')}"]  # fmt: skip
    return lines


def faults(tally: Tally, pushes: Sequence[Pushed]) -> list[str]:
    """Give what is not as it should be; nothing if all is well.

    Args:
        tally: What was seen.
        pushes: All that was in force, in order.
    """
    return [
        *_wrong_versions(tally.decisions, pushes),
        *_wrong_scores(tally.decisions),
        *_unused(tally.decisions, pushes),
        *_left_behind(tally, pushes[-1]),
        *_failed(tally),
    ]


def _wrong_versions(decisions: Sequence[Seen], pushes: Sequence[Pushed]) -> list[str]:
    """Each decision on all tables and the model, and on what its revision points to."""
    expected = {push.revision: push for push in pushes}
    wrong: Counter[str] = Counter()
    for seen in decisions:
        if seen.flow != FLOW:
            continue
        on = in_words(seen.tables, seen.models) or "nothing"
        push = expected.get(seen.revision)
        if seen.tables.keys() != TABLES or seen.models.keys() != MODELS:
            wrong[f"on {on}, and not on {' '.join(sorted(TABLES | MODELS))}"] += 1
        elif push is None:
            wrong[f"under revision {seen.revision}, which nobody has pushed"] += 1
        elif dict(seen.tables) != dict(push.tables) or dict(seen.models) != dict(push.models):
            wanted = in_words(push.tables, push.models)
            wrong[f"under revision {seen.revision} on {on}, and not on {wanted}"] += 1
    return [f"{count} decisions of {FLOW} were made {how}" for how, count in wrong.items()]


def _wrong_scores(decisions: Sequence[Seen]) -> list[str]:
    wrong = [
        seen.scores.get(SCORE)
        for seen in decisions
        if seen.flow == FLOW and not _is_chance(seen.scores.get(SCORE))
    ]
    if not wrong:
        return []
    return [f"{len(wrong)} scores are no number from 0 to 1, e.g. {wrong[0]!r}"]


def _unused(decisions: Sequence[Seen], pushes: Sequence[Pushed]) -> list[str]:
    used = {seen.revision for seen in decisions if seen.flow == FLOW}
    return [
        f"the flow {FLOW} has decided nothing under revision {push.revision} ({push.what})"
        for push in pushes
        if push.revision not in used
    ]


def _left_behind(tally: Tally, last: Pushed) -> list[str]:
    """After all shards have told that they applied the last revision, nothing decides otherwise."""
    applied_s = tally.applied_s.get(last.revision)
    if applied_s is None:
        return [f"not all shards have applied revision {last.revision}: {tally.in_force()}"]
    late = sum(
        seen.sent_s is not None and seen.sent_s > applied_s and seen.revision != last.revision
        for seen in tally.decisions
    )
    told = f"decisions on events sent after revision {last.revision} applied were not made under it"
    return [f"{late} {told}"] if late else []


def _failed(tally: Tally) -> list[str]:
    found = [
        f"{name} was its default {count} times because of {reason}"
        for (reason, name), count in tally.defaults.items()
        if reason in _WRONG
    ]
    failed = tally.total("failed_reads")
    return [*found, f"{failed} reads of tables have failed"] if failed else found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_chance(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and 0 <= value <= 1
