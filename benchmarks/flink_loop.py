"""Flink's own NFA looped over rules, in a JVM of its own (``flink_nfa/Loop.java``)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from numpy.typing import NDArray

from benchmarks.rule_workload import WITHIN_MS, Rules
from stack import java
from stack.flink_home import wheel_dir
from udfs.errors import StackError

_SOURCE: Final = Path(__file__).parent / "flink_nfa" / "Loop.java"
_OPTIONS: Final = (
    "-Xms3g", "-Xmx10g", "-Xmn1500m", "-XX:+UseSerialGC", "-XX:+UseTransparentHugePages",
    "-XX:+AlwaysPreTouch",
)  # fmt: skip
"""One core works and collects. Many young objects at a time and large pages make it half as fast
again; the pages are touched before, or the first rounds would pay for them."""


class Answer(msgspec.Struct, frozen=True):
    """What a command came to.

    Args:
        told: CPU nanoseconds of ``timed``, partial matches of ``live``.
        matches: So far.
        digest: Of the matches, whatever their order.
    """

    told: int
    matches: int
    digest: int


class FlinkLoop:
    """The JVM with one rule set; a context manager.

    Args:
        folder: For classes, rules and events.
        rules: The rule set.
        users: How many there are.

    Raises:
        StackError: There is no JDK, or the JVM does not answer.
    """

    def __init__(self, folder: Path, rules: Rules, users: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._events = folder / "events.bin"
        lines = folder / "rules.txt"
        rules.write(lines)
        path = _class_path(folder)
        _compile(folder, path)
        self._errors = (folder / "stderr.txt").open("w+")
        self._process = subprocess.Popen(
            [java.find(), *_OPTIONS, "-cp", path, "Loop"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._ask(f"rules {lines} {users} {WITHIN_MS}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.close()
        with contextlib.suppress(FileNotFoundError):
            self._events.unlink()

    def fast(self, made: NDArray[Any]) -> Answer:
        """Process events by those rules only that they can change."""
        made.tofile(self._events)
        return self._ask(f"fast {self._events}")

    def timed(self, made: NDArray[Any], count: int) -> Answer:
        """Process the first events by every rule and on the clock, the rest as `fast`."""
        made.tofile(self._events)
        return self._ask(f"timed {self._events} {count}")

    def live(self, now_ms: int) -> Answer:
        """Move everybody's time on and count partial matches."""
        return self._ask(f"live {now_ms}")

    def _ask(self, command: str) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise StackError(f"the loop over Flink's NFA ended:\n{self._errors.read()[-4000:]}")
        return Answer(*map(int, line.split()))


def _class_path(folder: Path) -> str:
    jars = wheel_dir() / "lib"
    found = [next(jars.glob(f"{name}-*.jar")) for name in ("flink-cep", "flink-dist")]
    return os.pathsep.join(map(str, [folder, *found]))


def _compile(folder: Path, class_path: str) -> None:
    program = Path(java.find()).resolve().parent / "javac"
    if shutil.which(program) is None:
        raise StackError(f"{program} is not there: install a JDK, not only a JRE")
    command = [str(program), "-nowarn", "-d", str(folder), "-cp", class_path, str(_SOURCE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StackError(f"javac failed:\n{(result.stdout + result.stderr)[-4000:]}")
