"""``millrace config check`` compiles: what it passes, a job takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.manifest import Resolved
from tests.udfs.decisions.logs import PARTS
from udfs.errors import ConfigInvalid
from udfs.runtime.config_command import app, compile_


def write(folder: Path, **parts: Any) -> str:
    """A manifest file."""
    file = folder / "manifest.json"
    file.write_text(json.dumps({"schema": 1, "revision": 1, **parts}))
    return str(file)


def test_a_right_manifest_passes(tmp_path: Path) -> None:
    """Exit 0 and a line about it."""
    result = CliRunner().invoke(app, ["check", write(tmp_path, **PARTS)])
    assert result.exit_code == 0, result.output
    assert "revision 1 is right" in result.output


def test_an_expression_that_does_not_compile_is_told(tmp_path: Path) -> None:
    """With its path, line and column."""
    flow = {**PARTS["flows"][0], "action": {"payload": {"x": "view["}}}
    result = CliRunner().invoke(app, ["check", write(tmp_path, **{**PARTS, "flows": [flow]})])
    assert result.exit_code != 0
    assert isinstance(result.exception, ConfigInvalid)
    assert result.exception.faults[0].where.startswith("flows[0].action.payload.x:1:")


@pytest.mark.parametrize("topic", ["decisions", "offers"])
def test_topics_are_the_jobs_business(topic: str) -> None:
    """Any name is taken here."""
    flow = {**PARTS["flows"][0], "action": {"topic": topic, "payload": {}}}
    assert compile_(Resolved.of(1, **{**PARTS, "flows": [flow]})) == ()
