"""``millrace rules``: check rules, run them over a file, explain, draw and translate them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from udfs.errors import ConfigInvalid, Fault, InvalidEvent, MillraceError
from udfs.events.event import Event
from udfs.matching.draw import svg
from udfs.matching.explain import explain
from udfs.matching.flip200 import to_rule
from udfs.matching.graph import graph_of, mermaid
from udfs.matching.layout import TooLargeError
from udfs.matching.machine import Machine
from udfs.matching.narrate import narrate
from udfs.matching.rule_files import RuleFile, read_rules
from udfs.matching.stream import Stream
from udfs.matching.trial import SHOWN_REFUSALS, Trial, run
from udfs.terminal.console import many, opened, progressing, say
from udfs.terminal.event_lines import Line, read_events
from udfs.terminal.json_files import read_json
from udfs.terminal.wording import printable

app: Final = typer.Typer(no_args_is_help=True, help="Check, try and explain rules.")

RulesFile = Annotated[
    Path, typer.Argument(help="JSON: a rule, a list of rules, or a manifest with rules.")
]
EventsFile = Annotated[str, typer.Argument(help="Events as JSON lines; - for standard input.")]
EndTime = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="Moves the clocks on at the end, ms since the epoch."),
]

_SHOWN_USERS: Final = 5
"""Users that are named if the one asked for is not there."""


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

    with opened(events) as source, progressing(source) as progress:

        def refused(number: int, problem: str) -> None:
            progress.say(f"{events}:{number}: {problem}")

        trial = run(stream, progress.over(read_events(source)), end_time, found, refused)
        seconds = progress.seconds()
    out.flush()
    for line in summary(trial, stream, seconds):
        say(line)
    if trial.refused and not trial.events:
        raise MillraceError(f"{events}: no line is an event; see docs/events.md")


@app.command("explain")
def explain_rules(
    rules: RulesFile,
    events: EventsFile,
    *,
    user: Annotated[str, typer.Option(help="Whose events.")],
    rule: Annotated[list[str] | None, typer.Option(help="Of which rule; repeatable.")] = None,
    end_time: EndTime = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, a line for each rule.")] = False,
) -> None:
    """Tell how far each run of a user came, what moved it, and why it went no further."""
    file = read_rules(rules)
    chosen = _chosen(file, rule)
    seen: dict[str, None] = {}
    with opened(events) as source, progressing(source) as progress:
        lines = progress.over(read_events(source))
        own = _of_user(user, lines, lambda text: progress.say(f"{events}:{text}"), seen)
        found = explain(chosen, own, end_time)
    if user not in seen:
        known = ", ".join(map(repr, seen)) or "none"
        raise MillraceError(f"{events}: no event of the user {user!r}; the first users are {known}")
    if as_json:
        for one in found:
            typer.echo(msgspec.json.encode(one))
        return
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        for line in narrate(one):
            console.print(line)


def _chosen(file: RuleFile, names: list[str] | None) -> list[dict[str, Any]]:
    """Give the rules of some names, all without any; refuses those that are not there."""
    known = [rule.name for rule in file.compile().rules]
    absent = [name for name in names or () if name not in known]
    if absent:
        problem = f"{file.name}: no rule {', '.join(map(repr, absent))}"
        raise MillraceError(f"{problem}; there are {', '.join(known) or 'none'}")
    return [rule for rule in file.rules if not names or rule["rule"] in names]


def _of_user(
    user: str, lines: Iterable[Line], tell: Callable[[str], None], seen: dict[str, None]
) -> Iterator[Event]:
    """Give the events of a user; what is refused is told. `seen` gets the first users, and this."""
    clock = refused = 0
    for line in lines:
        event = line.content
        problem = ""
        if isinstance(event, InvalidEvent):
            problem = str(event)
        elif event.user_id != user:
            if len(seen) < _SHOWN_USERS:
                seen[event.user_id] = None
        elif event.event_time < clock:
            problem = (
                f"event {event.event_id!r}: the times of user {user!r} fall from {clock} to "
                f"{event.event_time}: sort the events by time"
            )
        else:
            seen[user] = None
            clock = event.event_time
            yield event
        if problem:
            refused += 1
            if refused <= SHOWN_REFUSALS:
                tell(f"{line.number}: {problem}")
    if refused > SHOWN_REFUSALS:
        tell(f" ... and {many(refused - SHOWN_REFUSALS, 'refused line')} more")


@app.command("graph")
def graph_rules(
    rules: RulesFile,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, .svg or .mmd (Mermaid).")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Which rule; repeatable.")] = None,
) -> None:
    """Draw the machine that rules compile to; without a file as Mermaid on standard output."""
    if output is not None and output.suffix not in (".svg", ".mmd"):
        raise MillraceError(f"{str(output)!r} ends with neither .svg nor .mmd: name another file")
    graph = graph_of(Machine.compile(_chosen(read_rules(rules), rule)))
    if output is None:
        typer.echo(mermaid(graph), nl=False)
        return
    try:
        text = svg(graph) if output.suffix == ".svg" else mermaid(graph)
        output.write_text(text, encoding="utf-8")
    except TooLargeError:
        problem = "too many states and arrows for a picture"
        raise MillraceError(f"{problem}: choose a --rule, or write .mmd") from None
    except OSError as error:
        raise MillraceError(f"{output} cannot be written: {error.strerror}") from None
    say(f"{output}: {many(len(graph.rules), 'rule')}")


@app.command("import")
def import_rules(
    file: Annotated[Path, typer.Argument(help="JSON of Flink's dynamic CEP (FLIP-200).")],
    *,
    field: Annotated[
        list[str] | None,
        typer.Option(help="NAME=CEL: what a name in conditions is; else props.NAME. Repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the rule; else that of the graph.")] = None,
) -> None:
    """Translate a pattern of Flink's dynamic CEP; the rule goes to standard output."""
    fields = {}
    for one in field or ():
        known, sign, text = one.partition("=")
        if not sign or not known.strip() or not text.strip():
            raise MillraceError(f"--field {one!r} is not NAME=CEL, as in action=event_type")
        fields[known.strip()] = text.strip()
    rule, faults = to_rule(read_json(file), fields, name)
    if faults:
        raise ConfigInvalid(
            Fault(printable(f"{file}: {fault.where}"), fault.problem, fault.cure)
            for fault in faults
        )
    typer.echo(json.dumps(rule, ensure_ascii=False, indent=2))


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
