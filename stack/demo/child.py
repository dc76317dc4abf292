"""A command of the demo: a Python process beside it, so that TensorFlow never sits in the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stack.settings import ROOT
from udfs.errors import StackError

_POLL_S: Final = 0.05
_GRACE_S: Final = 5.0
_SHOWN: Final = 15


class Child:
    """A Python process; it is started at once.

    Args:
        words: What comes after ``python``.
        log: Takes what it prints, in place of what was there.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self._words = tuple(words)
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, *words],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def said(self) -> str:
        """Wait for its end and give its last line.

        Raises:
            StackError: It failed; with what it printed last.
        """
        while not self.done():
            time.sleep(_POLL_S)
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        if self._process.returncode:
            told = "\n".join(lines[-_SHOWN:])
            raise StackError(
                f"'python {' '.join(self._words)}' has failed ({self._process.returncode}), all "
                f"that it printed is in {self._log}:\n{told}"
            )
        return lines[-1] if lines else ""

    def end(self) -> None:
        """End it if it runs."""
        if self.done():
            return
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
