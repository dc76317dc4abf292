"""An explanation as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from udfs.matching.courses import Course, Explanation
from udfs.matching.judge import Refusal
from udfs.terminal.console import many
from udfs.terminal.wording import clock, printable

_STYLES = {"match": "bold green", "open": "cyan", "held": "cyan"}
_OTHER = "yellow"


def narrate(explanation: Explanation) -> Iterator[Text]:
    """Give the lines of an explanation.

    Args:
        explanation: Of one rule and user.
    """
    name = f"{explanation.rule} version {explanation.version}"
    runs = len(explanation.runs) + sum(explanation.left_out.values())
    counts = (
        f"{many(explanation.events, 'event')}, {many(runs, 'run')}, "
        f"{many(explanation.matches, 'match', 'matches')}"
    )
    yield _line(f"{name}, user {explanation.user_id}: {counts}", "bold")
    for number, run in enumerate(explanation.runs, 1):
        yield from _told(number, run)
    if explanation.left_out:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in explanation.left_out.items())
        yield _line(f"... and more runs without a match: {kinds}", _OTHER)
    count = explanation.not_begun_count
    if count:
        yield _line(f"no run began with {many(count, 'event')} of a fitting type; the latest:", "")
        for refusal in explanation.not_begun:
            yield from _refused(refusal)


def _told(number: int, run: Course) -> Iterator[Text]:
    ending = run.ending
    at = "" if ending.at is None else f" at {clock(ending.at)}"
    style = _STYLES.get(ending.kind, _OTHER)
    yield _line(f"run {number}: {ending.kind}{at}: {ending.why}", style)
    rows = [
        (one.step, f"event {one.event_id}", one.event_type, clock(one.time)) for one in run.taken
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield _line(f"  {'  '.join([*cells, row[3]])}", "")
    if len(run.matches) > 1:
        times = ", ".join(clock(time) for time in run.matches)
        yield _line(f"  matched {len(run.matches)} times: {times}", "")
    if ending.kind == "match":
        return
    if run.waited_for:
        told = f"  waited for {' or '.join(run.waited_for)}"
        if run.passed_over:
            told += f"; {many(run.passed_over, 'event')} left it as it was"
        yield _line(told, "")
    if run.refusals > 1:
        yield _line(f"  {run.refusals:,} of them of a fitting type; the latest:", "")
    for refusal in run.refused:
        yield from _refused(refusal)


def _refused(refusal: Refusal) -> Iterator[Text]:
    event = f"event {refusal.event_id} ({refusal.event_type}) at {clock(refusal.time)}"
    yield _line(f"  not {refusal.step}: {event}", "")
    yield _line(f"    {refusal.condition}", "dim")
    yield _line(f"    {refusal.why}", _OTHER)
    for text, value in refusal.values.items():
        yield _line(f"    {text} = {value}", "dim")


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style)
