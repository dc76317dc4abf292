"""What is shown while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bar_on(console: Console) -> Iterator[Progress]:
    """Give a progress bar that is gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Without a terminal only the lines that are printed appear.
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        yield bar
