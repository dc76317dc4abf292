"""Writes ``docs/session-suite.md``: the sessions of ``suite.txt`` as drawings.

Run it after a change of the suite: ``python -m tests.udfs.stitching.suite_page``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.udfs.stitching.suite import Case, cases
from udfs.stitching import stitch
from udfs.stitching.draw import tree

PAGE = Path(__file__).parents[3] / "docs" / "session-suite.md"

HEAD = """\
# Sessions by example

Each of these is a test: the events, and the session that comes of them. Times of events are
seconds; `page=A#1` is short for the page `A` and the instance `A#1`. The gap is 30 minutes and
`max_length` 24 hours where nothing else is said. What the drawings mean:
[sessions](sessions.md).
"""


def document() -> str:
    """Give the page."""
    return "\n".join([HEAD, *(_part(case) for case in cases())])


def _part(case: Case) -> str:
    options = "".join(f" `{key}` is {value}." for key, value in case.options.items())
    drawings = "\n".join(_drawn(record) for record in stitch(case.events, **case.options))
    title = case.name[0].upper() + case.name[1:]
    return (
        f"## {title}\n\n{case.words}{options}\n\n```text\n{case.lines}\n```\n\n"
        f"```text\n{drawings}```\n"
    )


def _drawn(record: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=1_000, highlight=False, color_system=None)
    console.print(tree(record))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
