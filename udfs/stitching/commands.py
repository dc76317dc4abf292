"""``millrace sessions``: make sessions of a file of events, and draw those of a user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from udfs.errors import ConfigInvalid, Fault, InvalidEvent, MillraceError
from udfs.events.event import Event
from udfs.stitching.batch import Whole
from udfs.stitching.counts import Counts
from udfs.stitching.draw import tree
from udfs.stitching.flat import pages
from udfs.stitching.html_page import page
from udfs.stitching.settings import Caps, Settings, duration
from udfs.stitching.stream import Stream
from udfs.terminal.console import Shown, many, opened, progressing, say
from udfs.terminal.event_lines import Line, read_events

app: Final = typer.Typer(no_args_is_help=True, help="Make sessions of events, and draw them.")

EventsFile = Annotated[str, typer.Argument(help="Events as JSON lines; - for standard input.")]
Gap = Annotated[str, typer.Option(help="Longest time between neighbours of a session.")]
MaxLength = Annotated[str, typer.Option(help="Longest time between its first and last event.")]

_WIDE: Final = 1_000
_SHOWN_REFUSALS: Final = 20
_SHOWN_USERS: Final = 5

_TOLD: Final = {
    "duplicates": "repeats dropped",
    "disordered": "events out of order",
    "late": "late events dropped",
    "dropped": "events without room dropped",
    "beyond_events": "events beyond the cap",
    "beyond_behaviours": "behaviours beyond the cap",
    "beyond_pages": "events of pages beyond the cap",
    "cut": "events with a text cut",
    "outside": "references to pages of no session here",
    "self_references": "pages that came from themselves",
    "repeated": "repeated enters or leaves",
    "late_enters": "pages entered after something happened on them",
}
"""What is told of `Counts`, where it is not 0."""


@app.callback()
def _root() -> None:
    """Make a group."""


@app.command("run")
def run_sessions(
    events: EventsFile,
    *,
    gap: Gap = "30m",
    max_length: MaxLength = "24h",
    out_of_orderness: Annotated[
        str | None,
        typer.Option(
            help="Work as a job does, in bounded memory; events that are older than the newest of "
            "their user by more than this duration (or 0) are dropped."
        ),
    ] = None,
    flat: Annotated[bool, typer.Option("--pages", help="A line for each page instead.")] = False,
) -> None:
    """Write the sessions of all users to standard output as JSON lines.

    Without --out-of-orderness all events are put in order first, and sessions come by start.
    """
    stream = _stream(gap, max_length, out_of_orderness)
    whole = Whole(Settings.read(gap, max_length, Caps.none()))
    out = typer.get_binary_stream("stdout")

    def write(records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            for row in pages(record) if flat else (record,):
                out.write(msgspec.json.encode(row) + b"\n")

    with opened(events) as source, progressing(source) as progress:
        lines = _Lines(events, progress)
        for event in lines.over(read_events(source)):
            if stream is None:
                whole.take(event)
            else:
                write(stream.take(event))
        seconds = progress.seconds()
    write(whole.sessions() if stream is None else stream.finish())
    out.flush()
    counts = whole.counts if stream is None else stream.stitcher.counts
    users = whole.users if stream is None else stream.users
    for line in _summary(counts, users, lines, seconds):
        say(line)
    if lines.refused and not lines.events:
        raise MillraceError(f"{events}: no line is an event; see docs/events.md")


@app.command("show")
def show_sessions(
    events: EventsFile,
    *,
    user: Annotated[str, typer.Option(help="Whose sessions.")],
    gap: Gap = "30m",
    max_length: MaxLength = "24h",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write one HTML page instead.")
    ] = None,
) -> None:
    """Draw the sessions of a user: pages, how long, what happened there, who led where."""
    if output is not None and output.suffix not in (".html", ".htm"):
        raise MillraceError(f"{str(output)!r} does not end with .html: name another file")
    whole = Whole(Settings.read(gap, max_length, Caps.none()))
    others: dict[str, None] = {}
    with opened(events) as source, progressing(source) as progress:
        lines = _Lines(events, progress)
        for event in lines.over(read_events(source)):
            if event.user_id == user:
                whole.take(event)
            elif len(others) < _SHOWN_USERS:
                others[event.user_id] = None
    if not whole.users:
        known = ", ".join(map(repr, others)) or "none"
        raise MillraceError(f"{events}: no event of the user {user!r}; the first users are {known}")
    records = whole.sessions()
    if output is None:
        console = Console(highlight=False)
        if not console.is_terminal:  # a file has no width that lines would have to fit
            console = Console(highlight=False, width=_WIDE)
        for record in records:
            console.print(tree(record))
        return
    try:
        output.write_text(page(records, f"Sessions of {user}"), encoding="utf-8")
    except OSError as error:
        raise MillraceError(f"{output} cannot be written: {error.strerror}") from None
    say(f"{output}: {many(len(records), 'session')}")


def _stream(gap: str, max_length: str, out_of_orderness: str | None) -> Stream | None:
    """Give a stream, if one is wanted; all options are checked together."""
    faults: list[Fault] = []
    settings = None
    try:
        settings = Settings.read(gap, max_length)
    except ConfigInvalid as error:
        faults += [
            Fault(f"--{fault.where.replace('_', '-')}", fault.problem, fault.cure)
            for fault in error.faults
        ]
    tolerance_ms = 0
    if out_of_orderness not in (None, "0"):
        tolerance_ms = duration("--out-of-orderness", out_of_orderness, faults)
    if faults or settings is None:
        raise ConfigInvalid(faults)
    return None if out_of_orderness is None else Stream(settings, tolerance_ms)


class _Lines:
    """Gives the events of a file, and tells the lines that are none.

    Args:
        name: Of the file.
        progress: Where to tell.
    """

    def __init__(self, name: str, progress: Shown) -> None:
        self._name = name
        self._progress = progress
        self.events = 0
        self.refused = 0

    def over(self, lines: Iterator[Line]) -> Iterator[Event]:
        """Give the events."""
        for line in self._progress.over(lines):
            if not isinstance(line.content, InvalidEvent):
                self.events += 1
                yield line.content
                continue
            self.refused += 1
            if self.refused <= _SHOWN_REFUSALS:
                self._progress.say(f"{self._name}:{line.number}: {line.content}")


def _summary(counts: Counts, users: int, lines: _Lines, seconds: float) -> Iterator[str]:
    if lines.refused > _SHOWN_REFUSALS:
        yield f"... and {many(lines.refused - _SHOWN_REFUSALS, 'refused line')} more"
    rate = lines.events / seconds if seconds else 0.0
    yield (
        f"{many(lines.events, 'event')} of {many(users, 'user')} in {seconds:.1f} s "
        f"({rate:,.0f}/s), {many(lines.refused, 'refused line')}"
    )
    yield many(counts.sessions, "session")
    for name, words in _TOLD.items():
        if count := getattr(counts, name):
            yield f"{words}: {count:,}"
