"""``millrace sessions run`` and ``show``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.udfs.stitching.suite import cases
from udfs.errors import ConfigInvalid, MillraceError
from udfs.stitching import pages, stitch
from udfs.stitching.commands import app

EVENTS = next(case.events for case in cases() if case.name == "cross-source jump")
LATER = [
    event | {"event_id": f"later-{number}", "event_time": event["event_time"] + 9_000_000}
    for number, event in enumerate(EVENTS)
]


def call(*words: str | Path, given: bytes | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, list(map(str, words)), input=given)


def lines(events: list[dict[str, Any]]) -> bytes:
    """Give events as a file has them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file of two sessions."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(EVENTS + LATER))
    return path


@pytest.mark.parametrize("options", [(), ("--out-of-orderness", "1m"), ("--out-of-orderness", "0")])
def test_run_gives_what_stitch_gives(log: Path, options: tuple[str, ...]) -> None:
    """And counts on standard error."""
    result = call("run", log, *options)
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == stitch(EVENTS + LATER)
    first, second = result.stderr.splitlines()
    assert first.startswith("16 events of 1 user in ")
    assert first.endswith("/s), 0 refused lines")
    assert second == "2 sessions"


def test_run_writes_pages(log: Path) -> None:
    """A line each."""
    result = call("run", log, "--pages", "--gap", "1d")
    [record] = stitch(EVENTS + LATER, gap="1d")
    assert [json.loads(line) for line in result.stdout.splitlines()] == pages(record)


def test_run_tells_broken_and_late_lines_and_goes_on() -> None:
    """With their numbers; what is too late is counted."""
    given = b"{\n" * 30 + lines(LATER + EVENTS)
    result = call("run", "-", "--out-of-orderness", "5s", given=given)
    assert result.exit_code == 0
    told = result.stderr.splitlines()
    assert told[0].startswith("-:1: broken_json")
    assert told[20:] == [
        "... and 10 refused lines more",
        told[21],
        "1 session",
        "late events dropped: 8",
    ]
    assert "30 refused lines" in told[21]


def test_run_without_any_event() -> None:
    """Is an error."""
    result = call("run", "-", given=b"{\n")
    assert isinstance(result.exception, MillraceError)
    assert "no line is an event" in str(result.exception)


def test_all_faults_of_the_options_are_told(log: Path) -> None:
    """At once."""
    result = call("run", log, "--gap", "1", "--max-length", "x", "--out-of-orderness", "-1s")
    assert isinstance(result.exception, ConfigInvalid)
    assert [fault.where for fault in result.exception.faults] == [
        "--gap", "--max-length", "--out-of-orderness",
    ]  # fmt: skip


def test_show_draws_the_tree(log: Path) -> None:
    """Levels, pages, stays, arrows."""
    result = call("show", log, "--user", "ann")
    assert result.exit_code == 0
    assert result.stdout.count("session ") == 2
    for words in (
        "app L1", "scene home", "page N (N#1)  native", "dwell 8 s until the next page",
        "0:08  click mini", "-> M#1 by e4", "<- N#1 by e4",
    ):  # fmt: skip
        assert words in result.stdout, words


def test_show_names_users_if_there_is_no_such(log: Path) -> None:
    """The first ones."""
    result = call("show", log, "--user", "eve")
    assert "no event of the user 'eve'; the first users are 'ann'" in str(result.exception)


def test_show_writes_only_html(log: Path, tmp_path: Path) -> None:
    """And says where."""
    wrong = call("show", log, "--user", "ann", "-o", tmp_path / "x.txt")
    assert "does not end with .html" in str(wrong.exception)
    gone = call("show", log, "--user", "ann", "-o", tmp_path / "no" / "x.html")
    assert "cannot be written: No such file" in str(gone.exception)
    path = tmp_path / "x.html"
    result = call("show", log, "--user", "ann", "-o", path)
    assert result.stderr == f"{path}: 2 sessions\n"
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_hostile_texts_steer_no_terminal(tmp_path: Path) -> None:
    """Neither with colours nor with a megabyte."""
    path = tmp_path / "x.jsonl"
    hostile = {"page_id": "[red]\x1b[2J", "page_instance": "y" * 500_000, "element_id": "\u202e"}
    path.write_bytes(lines([EVENTS[0] | hostile | {"event_type": "click"}]))
    result = call("show", path, "--user", "ann")
    assert "[red]\\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert len(result.stdout) < 2_000
