"""Which rules that were replaced may still have runs to finish (``state: finish_old``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from udfs.matching.check import check_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from udfs.matching.spec import RuleSpec

MOST_OF_A_NAME: Final = 16
"""Old versions of one rule that finish at a time: somebody who pushes a change every minute to a
rule with a window of a week would else make every later set larger."""


class Replaced(msgspec.Struct, frozen=True):
    """A rule that is not in force any more.

    Args:
        rule: As decoded from JSON.
        at_ms: Wall clock when it was replaced; None if nobody noted it.
    """

    rule: Mapping[str, Any]
    at_ms: int | None


def still_finishing(
    new: Sequence[Mapping[str, Any]],
    in_force: Sequence[Mapping[str, Any]],
    before: Sequence[Replaced],
    now_ms: int | None,
    grace_ms: int,
) -> list[Replaced]:
    """Give the old rules whose runs a new set has to finish, the oldest first.

    A rule is one of them if the new set has a rule of its name with ``state: finish_old`` and
    another structure, and if its window may still be open.

    Args:
        new: The rules that come into force. With faults nothing is given: they never will.
        in_force: Those that are replaced.
        before: What those had to finish.
        now_ms: Wall clock; None if it is not known, and then no window has passed.
        grace_ms: How far the rules' clock may lie behind the wall clock, or before it.

    Returns:
        At most `MOST_OF_A_NAME` of each name, the newest ones.
    """
    names = {_name(rule) for rule in new if rule.get("state") == "finish_old"} - {None}
    specs, faults = check_rules([rule for rule in new if _name(rule) in names])
    if faults or not names:
        return []
    current = {spec.structure_hash() for spec in specs if spec is not None}
    left: dict[bytes, tuple[RuleSpec, Replaced]] = {}
    for replaced in (*before, *(Replaced(rule, None) for rule in in_force)):
        if _name(replaced.rule) not in names:
            continue
        (spec,), _ = check_rules([replaced.rule])
        if spec is None or spec.within_ms is None:
            continue  # without a window it would never end
        at_ms = now_ms if replaced.at_ms is None else replaced.at_ms
        structure_hash = spec.structure_hash()
        left.pop(structure_hash, None)
        if structure_hash not in current and not _passed(at_ms, spec.within_ms + grace_ms, now_ms):
            left[structure_hash] = spec, Replaced(replaced.rule, at_ms)
    found: list[Replaced] = []
    counts: dict[str, int] = {}
    for spec, replaced in reversed(left.values()):
        counts[spec.name] = counts.get(spec.name, 0) + 1
        if counts[spec.name] <= MOST_OF_A_NAME:
            found.append(replaced)
    return found[::-1]


def _name(rule: Mapping[str, Any]) -> str | None:
    name = rule.get("rule")
    return name if isinstance(name, str) else None


def _passed(at_ms: int | None, after_ms: int, now_ms: int | None) -> bool:
    return at_ms is not None and now_ms is not None and now_ms >= at_ms + after_ms
