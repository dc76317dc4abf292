"""``millrace aggregates``: check aggregates, show what they share, run them over a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.tree import Tree

from udfs.aggregation.batch import Totals
from udfs.aggregation.plan import Plan
from udfs.aggregation.similar import Near, Shared, near, shared
from udfs.aggregation.spec_files import read_spec_file
from udfs.errors import ConfigInvalid, Fault, InvalidEvent, MillraceError
from udfs.terminal.console import many, opened, progressing, say
from udfs.terminal.event_lines import read_events
from udfs.terminal.wording import printable

app: Final = typer.Typer(no_args_is_help=True, help="Check, compare and try aggregates.")

SpecsFile = Annotated[
    Path,
    typer.Argument(help="JSON: an aggregate, a list of them, or a manifest with aggregates."),
]

_SHOWN_REFUSALS: Final = 10
"""Lines that are no events and are told one by one."""
_SHOWN_NEAR: Final = 50


@app.callback()
def _root() -> None:
    """Make a group."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="JSON; each file stands for itself.")],
) -> None:
    """Say everything that is wrong with the aggregates of some files."""
    faults: list[Fault] = []
    count = 0
    for file in files:
        try:
            count += len(read_spec_file(file).compile().names)
        except ConfigInvalid as error:
            faults += error.faults
    for fault in faults:
        say(str(fault))
    say(
        f"{many(len(faults), 'fault')} in {many(len(files), 'file')}"
        if faults
        else f"{many(count, 'aggregate')} in {many(len(files), 'file')}: no faults"
    )
    if faults:
        raise typer.Exit(1)


@app.command("plan")
def show_plan(
    specs: SpecsFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what aggregates share, what they nearly could, and why they do not."""
    plan = read_spec_file(specs).compile()
    streams, close = shared(plan), list(near(plan))
    if as_json:
        typer.echo(msgspec.json.encode({"streams": streams, "near": close}))
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for stream in streams:
        console.print(_tree(stream))
    partials = sum(stream.partials for stream in streams)
    readers = sum(len(stream.names) for stream in streams)
    console.print(
        f"{many(readers, 'aggregate')} from {many(len(streams), 'stream')} "
        f"and {many(partials, 'partial result')}"
    )
    for one in close[:_SHOWN_NEAR]:
        console.print(_told(one))
    if len(close) > _SHOWN_NEAR:
        console.print(f"... and {many(len(close) - _SHOWN_NEAR, 'pair')} more; see --json")


def _tree(stream: Shared) -> Tree:
    parts = [", ".join(stream.event) or "all types"]
    if stream.where is not None:
        parts.append(f"where {stream.where}")
    parts.append(f"value {stream.value} ({stream.kind})" if stream.value else "no value")
    if stream.group_by is not None:
        parts.append(f"by {stream.group_by}")
    tree = Tree(printable("; ".join(parts)))
    for window, names in stream.windows.items():
        tree.add(printable(f"{window}: {', '.join(names)}"))
    return tree


def _told(one: Near) -> str:
    return printable(
        f"nearly: {one.first} and {one.second} differ in {one.part} only: "
        f"{one.of_first} | {one.of_second}"
    )


@app.command("run")
def run_aggregates(
    specs: SpecsFile,
    events: Annotated[str, typer.Argument(help="Events as JSON lines; - for standard input.")],
    *,
    at: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**63 - 1,
            help="Time of reading, ms since the epoch; default: the newest event.",
        ),
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="Whose; repeatable.")] = None,
) -> None:  # fmt: skip
    """Aggregate events; the values of each user go to standard output as JSON lines."""
    plan = read_spec_file(specs).compile()
    totals = Totals(plan, None if user is None else frozenset(user))
    refused = count = 0
    with opened(events) as source, progressing(source) as progress:
        for line in progress.over(read_events(source)):
            if isinstance(line.content, InvalidEvent):
                refused += 1
                if refused <= _SHOWN_REFUSALS:
                    progress.say(f"{events}:{line.number}: {line.content}")
            else:
                count += 1
                totals.add(line.content)
        seconds = progress.seconds()
    if refused and not count:
        raise MillraceError(f"{events}: no line is an event; see docs/events.md")
    try:
        values = totals.read(at)
    except ValueError as error:
        raise MillraceError(f"--at: {error}") from None
    out = typer.get_binary_stream("stdout")
    for name, found in values.items():
        out.write(msgspec.json.encode({"user_id": name, "values": found}) + b"\n")
    out.flush()
    for text in _summary(plan, count, refused, len(values), seconds):
        say(text)


def _summary(plan: Plan, count: int, refused: int, users: int, seconds: float) -> list[str]:
    lines = [
        f"{many(count, 'event')} of {many(users, 'user')} in {seconds:.2f} s"
        + (f", {count / seconds:,.0f} events/s" if seconds else "")
    ]
    if refused:
        lines.append(f"{many(refused, 'line')} refused")
    counters: dict[str, Any] = {name: value for name, value in plan.counters.items() if value}
    lines += [f"{name}: {value:,}" for name, value in counters.items()]
    return lines
