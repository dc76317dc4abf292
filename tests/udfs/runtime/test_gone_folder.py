"""A worker whose first job is over: the folder that the code was shipped to is gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.shipping import stage

SECOND_JOB = """
import importlib, shutil, sys
first, folder = sys.argv[1:]
sys.path.insert(0, folder)
importlib.import_module(first)
shutil.rmtree(folder)
for name in ("udfs.runtime.decide", "udfs.runtime.watch", "udfs.runtime.watch_process"):
    importlib.import_module(name)
from udfs.decisions.program import Program
Program.compile(1, {
    "rules": [{"rule": "r", "version": 1, "pattern": [{"step": "a", "where": "props.x > 1"}]}],
    "aggregates": [{"aggregate": "n", "function": "count"}],
    "flows": [{"flow": "f", "version": 1, "trigger": {"rule": "r"}, "features": ["n"],
               "action": {"payload": {"n": "f['n']"}}}],
}, {"decisions"})
print("compiled")
"""


@pytest.mark.parametrize("first", ["udfs.runtime.decide", "udfs.runtime.watch"])
def test_whatever_ran_first_all_that_a_later_job_needs_is_there(first: str, tmp_path: Path) -> None:
    """A worker that ran one operator only runs the other, and compiles, without the folder."""
    folder = stage(tmp_path / "shipped")
    shutil.rmtree(folder / "jobs")
    done = subprocess.run(
        [sys.executable, "-P", "-c", SECOND_JOB, first, str(folder)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "compiled\n", done.stderr
