"""``millrace rules explain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from udfs.errors import MillraceError
from udfs.matching.commands import app

FIRST: dict[str, Any] = {
    "rule": "first",
    "version": 2,
    "pattern": [{"step": "see", "event": "view"},
                {"step": "pay", "event": "pay", "where": "props.sku == last(see).props.sku"}],
    "within": "10s",
}  # fmt: skip
SECOND: dict[str, Any] = {
    "rule": "second", "version": 1, "pattern": [{"step": "any", "event": "zoom"}],
}  # fmt: skip


def event(number: int | str, kind: str, time: int, user: str = "u", **props: Any) -> str:
    """Give a line."""
    given = {"event_id": str(number), "event_type": kind, "user_id": user, "event_time": time}
    return json.dumps(given | {"props": props}) + "\n"


EVENTS = [
    event(1, "view", 1_000, sku="s"),
    event(2, "view", 1_000, "v", sku="s"),
    event(3, "pay", 2_000, sku="t"),
    event(4, "view", 2_500, sku="t"),
    event(5, "pay", 3_000, sku="t"),
]


def call(rules: Any, events: str, *words: str, folder: Path) -> Result:
    """Run the command on rules and events."""
    (folder / "rules.json").write_text(json.dumps(rules))
    (folder / "events.jsonl").write_text(events)
    given = [str(folder / "rules.json"), str(folder / "events.jsonl"), *words]
    return CliRunner().invoke(app, ["explain", *given])


def test_the_account_as_text(tmp_path: Path) -> None:
    """Which event moved which run, and which condition refused."""
    result = call([FIRST, SECOND], "".join(EVENTS), "--user", "u", folder=tmp_path)
    assert result.exit_code == 0, result.output
    assert (
        result.stdout
        == """\
first version 2, user u: 4 events, 2 runs, 1 match
run 1: open: still open
  see  event 1  view  1970-01-01 00:00:01.000
  waited for pay; 3 events left it as it was
  2 of them of a fitting type; the latest:
  not pay: event 3 (pay) at 1970-01-01 00:00:02.000
    pay where props.sku == last(see).props.sku
    false
    props.sku = "t"
    last(see).props.sku = "s"
  not pay: event 5 (pay) at 1970-01-01 00:00:03.000
    pay where props.sku == last(see).props.sku
    false
    props.sku = "t"
    last(see).props.sku = "s"
run 2: match at 1970-01-01 00:00:03.000: it is a match
  see  event 4  view  1970-01-01 00:00:02.500
  pay  event 5  pay   1970-01-01 00:00:03.000
second version 1, user u: 4 events, 0 runs, 0 matches
"""
    )


def test_the_account_as_json(tmp_path: Path) -> None:
    """A line for each rule; ``--rule`` chooses, ``--end-time`` moves the clock."""
    words = ("--user", "u", "--json", "--end-time", "90000")
    result = call([FIRST, SECOND], "".join(EVENTS), *words, folder=tmp_path)
    first, second = map(json.loads, result.stdout.splitlines())
    assert [run["ending"]["kind"] for run in first["runs"]] == ["window", "match"]
    assert first["runs"][0]["refused"][0]["values"]["props.sku"] == '"t"'
    assert second["runs"] == []
    words += ("--rule", "second")
    result = call([FIRST, SECOND], "".join(EVENTS), *words, folder=tmp_path)
    [only] = map(json.loads, result.stdout.splitlines())
    assert only["rule"] == "second"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--user", "w"), "no event of the user 'w'; the first users are 'u', 'v'"),
        (("--user", "u", "--rule", "x"), "no rule 'x'; there are first, second"),
    ],
    ids=["user", "rule"],
)
def test_who_is_not_there(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    """Is named, with those who are."""
    result = call([FIRST, SECOND], "".join(EVENTS), *words, folder=tmp_path)
    assert isinstance(result.exception, MillraceError)
    assert text in str(result.exception)


def test_broken_and_late_lines_are_told(tmp_path: Path) -> None:
    """With their numbers; the rest is explained."""
    late = event(9, "view", 5)
    result = call(FIRST, EVENTS[0] + "{\n" + late + EVENTS[2], "--user", "u", folder=tmp_path)
    assert result.exit_code == 0
    told = result.stderr.splitlines()
    assert ":2: broken_json" in told[0]
    assert ":3: event '9': the times of user 'u' fall from 1000 to 5" in told[1]
    assert "first version 2, user u: 2 events" in result.stdout


def test_hostile_names_do_not_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters are escaped; markup is text."""
    line = event("\x1b[31m[bold]x[/bold]\n", "view", 1)
    result = call(FIRST, line, "--user", "u", folder=tmp_path)
    assert "\x1b" not in result.output
    assert "event \\x1b[31m[bold]x[/bold]\\n" in result.stdout
