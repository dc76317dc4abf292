"""Commands beside the demo."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stack.demo.child import Child
from udfs.errors import StackError


def test_what_it_said_last(tmp_path: Path) -> None:
    """All that it printed lies in its log."""
    child = Child(["-c", "print('first'); print('last')"], tmp_path / "logs" / "a.log")
    assert child.said() == "last"
    assert child.done()
    assert (tmp_path / "logs" / "a.log").read_text() == "first\nlast\n"


def test_it_sees_the_code_of_this_tree(tmp_path: Path) -> None:
    """Wherever it is started."""
    child = Child(["-c", "import stack.settings; print(stack.settings.ROOT)"], tmp_path / "a.log")
    assert Path(child.said()) == Path(__file__).resolve().parents[3]


def test_a_failure_says_what_was_printed(tmp_path: Path) -> None:
    """The command, its exit code, its last lines, where the rest is."""
    child = Child(["-c", "raise SystemExit('the disk is full')"], tmp_path / "a.log")
    with pytest.raises(StackError, match=r"(?s)has failed \(1\).*a\.log:\nthe disk is full"):
        child.said()


def test_what_runs_is_ended(tmp_path: Path) -> None:
    """At once; ending it again does nothing."""
    child = Child(["-c", "import time; time.sleep(600)"], tmp_path / "a.log")
    assert not child.done()
    begin_s = time.monotonic()
    child.end()
    child.end()
    assert child.done()
    assert time.monotonic() - begin_s < 5
