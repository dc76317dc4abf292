"""Rules over a file of events, and what there is to say about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from udfs.errors import InvalidEvent
from udfs.matching.stream import Stream
from udfs.terminal.event_lines import Line

SHOWN_REFUSALS: Final = 20
"""Refused lines that are told one by one; the rest is counted."""


class Trial(msgspec.Struct):
    """What a run over a file came to.

    Args:
        events: How many were processed.
        refused: Lines that were none, or came too late.
        matches: By rule and kind (``match``, ``timeout``); rules that found nothing too.
    """

    events: int = 0
    refused: int = 0
    matches: dict[str, dict[str, int]] = {}

    def count(self, found: Iterable[dict[str, Any]]) -> None:
        """Add matches."""
        for one in found:
            kinds = self.matches[one["rule"]]
            kinds[one["kind"]] = kinds.get(one["kind"], 0) + 1


def run(
    stream: Stream,
    lines: Iterable[Line],
    end_time: int | None,
    found: Callable[[dict[str, Any]], None],
    refused: Callable[[int, str], None],
) -> Trial:
    """Run rules over lines of events.

    Matches come in the order in which they are known, those of rules in the shadow too: nobody
    acts on them. An event that is older than the one before it of the same user is refused.

    Args:
        stream: With the rules.
        lines: As `udfs.terminal.event_lines.read_events` gives them.
        end_time: Moves all clocks on at the end, ms since the epoch.
        found: Gets each match.
        refused: Gets number and fault of the first `SHOWN_REFUSALS` lines that are refused.
    """
    stream.machine.watch = None
    trial = Trial(matches={rule.name: {} for rule in stream.machine.rules})
    for line in lines:
        content = line.content
        problem: Exception
        if not isinstance(content, InvalidEvent):
            try:
                matches = stream.take(content)
            except ValueError as error:
                problem = error
            else:
                trial.events += 1
                trial.count(matches)
                for one in matches:
                    found(one)
                continue
        else:
            problem = content
        trial.refused += 1
        if trial.refused <= SHOWN_REFUSALS:
            refused(line.number, str(problem))
    if end_time is not None:
        matches = stream.due(end_time)
        trial.count(matches)
        for one in matches:
            found(one)
    return trial
