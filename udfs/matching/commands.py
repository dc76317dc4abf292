"""``millrace rules``: check rules, run them over a file, explain, draw and translate them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from udfs.errors import ConfigInvalid, Fault, MillraceError
from udfs.matching.console import many, opened, progressing, say
from udfs.matching.event_lines import read_events
from udfs.matching.rule_files import read_rules
from udfs.matching.stream import Stream
from udfs.matching.trial import SHOWN_REFUSALS, Trial, run

app: Final = typer.Typer(no_args_is_help=True, help="Check, try and explain rules.")

RulesFile = Annotated[
    Path, typer.Argument(help="JSON: a rule, a list of rules, or a manifest with rules.")
]
EventsFile = Annotated[str, typer.Argument(help="Events as JSON lines; - for standard input.")]
EndTime = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="Moves the clocks on at the end, ms since the epoch."),
]


@app.callback()
def _root() -> None:
    """Make a group."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="JSON; each file stands for itself.")],
) -> None:
    """Say everything that is wrong with the rules of some files."""
    faults: list[Fault] = []
    count = 0
    for file in files:
        try:
            count += len(read_rules(file).compile().rules)
        except ConfigInvalid as error:
            faults += error.faults
    for fault in faults:
        say(str(fault))
    say(
        f"{many(len(faults), 'fault')} in {many(len(files), 'file')}"
        if faults
        else f"{many(count, 'rule')} in {many(len(files), 'file')}: no faults"
    )
    if faults:
        raise typer.Exit(1)


@app.command("run")
def run_rules(rules: RulesFile, events: EventsFile, *, end_time: EndTime = None) -> None:
    """Run rules over events; matches go to standard output as JSON lines.

    Each user is alone. Lines that are no events, and events older than the one before of the same
    user, are told and counted. Rules in the shadow give their matches as others do.
    """
    stream = read_rules(rules).stream()
    out = typer.get_binary_stream("stdout")

    def found(match: dict[str, Any]) -> None:
        out.write(msgspec.json.encode(match) + b"\n")

    def refused(number: int, problem: str) -> None:
        say(f"{events}:{number}: {problem}")

    with opened(events) as source, progressing(source) as progress:
        trial = run(stream, progress.over(read_events(source)), end_time, found, refused)
        seconds = progress.seconds()
    out.flush()
    for line in summary(trial, stream, seconds):
        say(line)
    if trial.refused and not trial.events:
        raise MillraceError(f"{events}: no line is an event; see docs/events.md")


def summary(trial: Trial, stream: Stream, seconds: float) -> Iterator[str]:
    """Give the lines that a run ends with.

    Args:
        trial: What it came to.
        stream: That it used.
        seconds: How long it took.
    """
    machine = stream.machine
    if trial.refused > SHOWN_REFUSALS:
        yield f"... and {many(trial.refused - SHOWN_REFUSALS, 'refused line')} more"
    rate = trial.events / seconds if seconds else 0.0
    yield (
        f"{many(trial.events, 'event')} of {many(stream.users, 'user')} in {seconds:.1f} s "
        f"({rate:,.0f}/s), {many(trial.refused, 'refused line')}, "
        f"{many(machine.expression_errors, 'expression error')}"
    )
    for name, kinds in trial.matches.items():
        counts = [many(kinds.get("match", 0), "match", "matches")]
        if kinds.get("timeout"):
            counts.append(many(kinds["timeout"], "timeout"))
        if machine.overflowed.get(name):
            counts.append(f"{many(machine.overflowed[name], 'run')} dropped by overflow")
        yield f"{name}: {', '.join(counts)}"
