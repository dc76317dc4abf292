"""What became of one run, as `udfs.matching.explain` tells it."""

from __future__ import annotations

import msgspec

from udfs.matching.judge import Refusal


class Taken(msgspec.Struct, frozen=True):
    """An event that moved a run.

    Args:
        step: Which took it.
        event_id: The event.
        event_type: Its type.
        time: Rule time, ms.
    """

    step: str
    event_id: str
    event_type: str
    time: int


class Ending(msgspec.Struct, frozen=True):
    """Why a run is no more, or that it is.

    Args:
        kind: ``match``; ``timeout`` (its window passed, and that was reported); ``window`` or
            ``gap`` (the time passed); ``stopped`` by an absence; ``broken`` (the very next event
            had to fit); ``pruned`` by the skip strategy; ``overflow``; ``held`` (complete, kept
            back by a run that began earlier); ``open``.
        at: Rule time, ms; None while it is open or held.
        why: In words.
    """

    kind: str
    at: int | None
    why: str


class Course(msgspec.Struct):
    """One run: a chain of events that were taken.

    Args:
        taken: What moved it.
        ending: Why it is no more.
        matches: Times at which it was reported as a match, ms.
        timeouts: Times at which it was reported as a time-out, ms.
        waited_for: Steps that could have been next at last.
        refused: The latest events of a fitting type that the next steps did not take.
        refusals: How many of those there were.
        passed_over: Events that left it as it was.
    """

    taken: list[Taken]
    ending: Ending
    matches: list[int] = []
    timeouts: list[int] = []
    waited_for: list[str] = []
    refused: list[Refusal] = []
    refusals: int = 0
    passed_over: int = 0


class Explanation(msgspec.Struct):
    """What one rule made of the events of one user.

    Args:
        rule: Its name.
        version: Its version.
        user_id: Whose events.
        events: How many.
        runs: What became of each run, in the order of their beginning.
        left_out: Runs that ended without a match beyond those in `runs`, by kind of ending.
        not_begun: The latest events of a fitting type with which no run began.
        not_begun_count: How many of those there were.
        matches: How many matches and time-outs were reported.
    """

    rule: str
    version: int
    user_id: str
    events: int
    runs: list[Course]
    left_out: dict[str, int]
    not_begun: list[Refusal]
    not_begun_count: int
    matches: int
