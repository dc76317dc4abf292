"""What docs/sessions.md and docs/session-suite.md show is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.udfs.stitching.suite_page import PAGE, document
from udfs.schemas import validator
from udfs.stitching import FEATURES, Caps, stitch
from udfs.stitching.commands import _TOLD, app
from udfs.stitching.counts import Counts
from udfs.stitching.wording import DWELLS, ENDINGS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")


def test_the_page_of_the_suite_is_up_to_date() -> None:
    """Run `python -m tests.udfs.stitching.suite_page` after a change."""
    assert PAGE.read_text(encoding="utf-8") == document()


def commands() -> dict[str, str]:
    """Give the commands that the page shows, each with what it prints."""
    blocks = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    shown = "".join(block.rstrip("\n") + "\n\n" for block in blocks)
    found = re.findall(r"^\$ millrace sessions (.+)\n((?:(?!\$ ).*\n)*)", shown, re.MULTILINE)
    return {command: output.rstrip("\n") + "\n" for command, output in found}


@pytest.mark.parametrize("command", commands())
def test_commands_print_what_the_page_shows(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the speed."""
    monkeypatch.chdir(ROOT)
    output = CliRunner().invoke(app, command.split()).output
    speed = re.compile(r"in [\d.]+ s \([\d,]+/s\)| +$", re.MULTILINE)
    assert speed.sub("", output) == speed.sub("", commands()[command])


def test_every_command_is_shown() -> None:
    """With its name."""
    assert {command.split()[0] for command in commands()} == {
        command.name for command in app.registered_commands
    }


def test_the_record_of_the_page_is_one() -> None:
    """It fits the schema, and its events give it."""
    [record] = [
        value for block in re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
        if "session_id" in (value := json.loads(block))
    ]  # fmt: skip
    validator("udfs.stitching", "session.schema.json").validate(record)
    lines = (ROOT / "examples" / "session_events.jsonl").read_text().splitlines()
    assert record in stitch(map(json.loads, lines))


def keys(schema: dict[str, Any]) -> set[str]:
    """Give the keys of all objects in a schema."""
    found = set(schema.get("properties", {}))
    for inner in schema.get("$defs", {}).values():
        found |= keys(inner)
    return found


def test_everything_is_explained() -> None:
    """Keys of the record, features, endings, caps, counts."""
    schema = json.loads((ROOT / "udfs/stitching/session.schema.json").read_text())
    counts = set(Counts.__struct_fields__)
    names = {*keys(schema), *FEATURES, *ENDINGS, *DWELLS, *counts}
    names |= {f"caps.{name}" for name in Caps.__struct_fields__}
    for name in sorted(names):
        assert f"`{name}`" in TEXT, name
    assert set(_TOLD) == counts - {"events", "sessions"}
