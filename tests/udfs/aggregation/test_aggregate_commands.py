"""``millrace aggregates``, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from udfs.aggregation.commands import app
from udfs.errors import ConfigInvalid, MillraceError

PAID = {"event": "pay", "value": "props.x"}
SPECS = [
    {"aggregate": "n", "event": "pay", "function": "count", "window": {"sliding": "1h"}},
    PAID | {"aggregate": "s", "where": "props.x  > 0", "function": "sum"},
    PAID | {"aggregate": "a", "where": "props.x > 0", "function": "avg"},
    PAID | {"aggregate": "t", "where": "props.x > 1", "function": "avg"},
    {"aggregate": "d", "derive": "s + 1"},
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A file of specs and one of events, the last line broken."""
    specs, events = tmp_path / "specs.json", tmp_path / "events.jsonl"
    specs.write_text(json.dumps(SPECS))
    lines = [
        json.dumps({"event_id": str(i), "event_type": "pay", "user_id": f"u{i % 2}",
                    "event_time": i, "props": {"x": i}})
        for i in range(6)
    ]  # fmt: skip
    events.write_text("\n".join([*lines, "{broken"]))
    return str(specs), str(events)


def run(*arguments: str) -> Any:
    """Run a command."""
    return CliRunner().invoke(app, arguments)


def test_run(files: tuple[str, str]) -> None:
    """Values on standard output; rate and what was passed over on standard error."""
    result = run("run", *files)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"user_id": "u0", "values": {"n": 3, "s": 6, "a": 3.0, "t": 3.0, "d": 7}},
        {"user_id": "u1", "values": {"n": 3, "s": 9, "a": 3.0, "t": 4.0, "d": 10}},
    ]
    assert "6 events of 2 users" in result.stderr
    assert "1 line refused" in result.stderr
    one = run("run", *files, "--user", "u1", "--at", "3600004")
    assert [json.loads(line)["values"]["n"] for line in one.stdout.splitlines()] == [1]


def test_run_refuses_the_past(files: tuple[str, str]) -> None:
    """What left the windows is not known any more."""
    result = run("run", *files, "--at", "3")
    assert isinstance(result.exception, MillraceError)
    assert "newest event (5)" in str(result.exception)


def test_plan(files: tuple[str, str]) -> None:
    """What is shared, what nearly could be, and why not."""
    text = run("plan", files[0]).stdout
    assert "pay; where props.x>0; value props.x (any)\n└── lifetime: s, a\n" in text
    assert "4 aggregates from 3 streams and 3 partial results" in text
    assert "nearly: s and t differ in where only: props.x>0 | props.x>1" in text
    whole = json.loads(run("plan", files[0], "--json").stdout)
    assert whole["streams"][0]["windows"] == {"lifetime": ["s", "a"]}
    assert whole["near"][0]["part"] == "where"


def test_check(tmp_path: Path, files: tuple[str, str]) -> None:
    """All faults, each with its file."""
    assert "5 aggregates in 1 file: no faults" in run("check", files[0]).stderr
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"aggregate": "x", "function": "sum", "windw": 1}))
    result = run("check", files[0], str(bad))
    assert result.exit_code == 1
    assert f"{bad}: $.windw: unknown key" in result.stderr
    assert f"{bad}: $.value: sum needs a value" in result.stderr
    assert "2 faults in 2 files" in result.stderr


@pytest.mark.parametrize("text", ["", "[", "5", '{"rules": []}'])
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    path = tmp_path / "x.json"
    path.write_text(text)
    result = run("plan", str(path))
    assert isinstance(result.exception, ConfigInvalid)
    assert "x.json" in str(result.exception)
