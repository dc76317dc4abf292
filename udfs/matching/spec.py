"""A rule as a checked value: what the DSL says, with its defaults filled in."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec


class Then(enum.Enum):
    """How a step follows the one before it (contiguity)."""

    NEXT = "next"
    FOLLOWED_BY = "followed_by"
    FOLLOWED_BY_ANY = "followed_by_any"
    NOT_NEXT = "not_next"
    NOT_FOLLOWED_BY = "not_followed_by"

    @property
    def negative(self) -> bool:
        """Whether the step must not happen."""
        return self in (Then.NOT_NEXT, Then.NOT_FOLLOWED_BY)


INNER: Final = {
    "consecutive": Then.NEXT,
    "relaxed": Then.FOLLOWED_BY,
    "combinations": Then.FOLLOWED_BY_ANY,
}
"""Contiguity between the repeats of one step."""


class Times(msgspec.Struct, frozen=True):
    """How often a step is repeated.

    Args:
        least: At least 1; "or not at all" is the step's ``optional``.
        most: None without an upper bound.
    """

    least: int
    most: int | None


class StepSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a pattern, or a group of steps.

    Fields with a default came later; they count for the structure hash only where they are used.

    Args:
        name: Unique in the rule.
        then: Contiguity with the step before; of the first step without meaning.
        types: Event types; None for all.
        where: CEL text, or None.
        times: None for exactly once.
        inner: Contiguity between repeats.
        optional: Whether the step may be left out.
        greedy: Whether it takes as many events as it can.
        until: CEL text; an event that fulfils it ends the repeats.
        repeat_within_ms: Longest time between repeats.
        gap_max_ms: Longest time since the event that was taken before.
        gap_min_ms: Shortest time since the last event of the step before.
        steps: Those of a group; a step has none.
    """

    name: str
    then: Then
    types: tuple[str, ...] | None
    where: str | None
    times: Times | None
    inner: Then
    optional: bool
    greedy: bool = False
    until: str | None = None
    repeat_within_ms: int | None = None
    gap_max_ms: int | None = None
    gap_min_ms: int | None = None
    steps: tuple[StepSpec, ...] = ()

    def leaves(self) -> Iterator[StepSpec]:
        """Give the step, or those inside the group, in order."""
        if not self.steps:
            yield self
        for step in self.steps:
            yield from step.leaves()


class Skip(enum.Enum):
    """What a match does to the other runs of its rule (after-match skip strategy)."""

    NONE = "no_skip"
    TO_NEXT = "skip_to_next"
    PAST_LAST = "skip_past_last_event"
    TO_FIRST = "skip_to_first"
    TO_LAST = "skip_to_last"


class RuleSpec(msgspec.Struct, frozen=True):
    """One rule.

    Args:
        name: Unique in the rule set.
        version: Rises with every change.
        priority: Handed on to who consumes the matches; the matcher does not use it.
        steps: The pattern.
        within_ms: Longest time between the first and the last event; None for no limit.
        skip: After-match strategy.
        skip_step: The step that ``skip_to_first`` and ``skip_to_last`` name.
        timeouts: Whether runs that pass the window are reported.
        max_runs: Most partial matches of one user; None for no cap.
        drop_oldest: What goes when there are more: the oldest, or else the newest.
        shadow: Whether matches are only counted.
        fuse: More matches than this in a minute turn the rule to shadow; None for no fuse.
        finish_old: Whether runs of an older structure go on to their end.
    """

    name: str
    version: int
    priority: int
    steps: tuple[StepSpec, ...]
    within_ms: int | None
    skip: Skip
    skip_step: str | None
    timeouts: bool
    max_runs: int | None
    drop_oldest: bool
    shadow: bool = False
    fuse: int | None = None
    finish_old: bool = False

    def leaves(self) -> tuple[StepSpec, ...]:
        """Give all steps, those in groups too, in order."""
        return tuple(leaf for step in self.steps for leaf in step.leaves())

    def structure_hash(self) -> bytes:
        """Give 8 bytes that change when the runs of this rule lose their meaning.

        Version, priority, time-outs and caps are not part of it: changing them keeps runs.
        """
        structure = (self.name, self.steps, self.within_ms, self.skip, self.skip_step)
        return hashlib.sha256(msgspec.json.encode(structure)).digest()[:8]
