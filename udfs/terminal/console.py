"""What the commands say on the terminal, and how far they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from udfs.errors import MillraceError
from udfs.terminal.event_lines import Line
from udfs.terminal.wording import printable

_EVERY: Final = 1_000
"""Events between two looks at the progress."""


def many(count: int, one: str, more: str | None = None) -> str:
    """Give a count with its noun.

    >>> many(1, "rule"), many(1200, "rule"), many(0, "match", "matches")
    ('1 rule', '1,200 rules', '0 matches')

    Args:
        count: How many.
        one: The noun.
        more: Its plural, if it is not with an s.
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def say(text: str) -> None:
    """Print a line to standard error, as it is."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(printable(text))


@contextmanager
def opened(events: str) -> Iterator[BinaryIO]:
    """Open a file of events, or standard input.

    Args:
        events: Its name; - for standard input.

    Raises:
        MillraceError: It cannot be read.
    """
    if events == "-":
        yield typer.get_binary_stream("stdin")
        return
    try:
        file = Path(events).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"{events!r} cannot be read: {reason}; name a file of JSON lines, or -"
        raise MillraceError(problem) from None
    with file:
        yield file


class Shown:
    """Hands lines on and shows how far it is.

    Args:
        progress: Where.
        size: Of the whole, bytes; None if nobody knows.
    """

    def __init__(self, progress: Progress, size: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=size)

    def over(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Give the lines."""
        for count, line in enumerate(lines, 1):
            if not count % _EVERY:
                text = f"{count:,} events"
                self._progress.update(self._task, completed=line.end, description=text)
            yield line

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(Text(printable(text)), soft_wrap=True, highlight=False)

    def seconds(self) -> float:
        """Give the time since the beginning."""
        return self._progress.tasks[0].elapsed or 0.0


@contextmanager
def progressing(file: BinaryIO) -> Iterator[Shown]:
    """Show progress on standard error while a file is read, if that is a terminal.

    Not if standard output is one as well: the bar would stand between the matches.

    Args:
        file: What is read.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    disable = not console.is_terminal or sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        yield Shown(progress, _size(file))


def _size(file: BinaryIO) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None
