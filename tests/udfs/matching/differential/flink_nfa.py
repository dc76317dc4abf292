"""The real NFA in a JVM of its own, asked over standard input and output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyflink

from tests.udfs.matching.differential.cases import Case

SOURCE = Path(__file__).with_name("FlinkNfa.java")


def _class_path(classes: Path) -> str:
    jars = Path(pyflink.__file__).parent / "lib"
    found = [next(jars.glob(f"{name}-*.jar")) for name in ("flink-cep", "flink-dist")]
    return ":".join(map(str, [classes, *found]))


class FlinkNfa:
    """Compiles the harness and keeps it running; a context manager.

    Args:
        folder: For the classes and what Java writes to standard error.
    """

    def __init__(self, folder: Path) -> None:
        path = _class_path(folder)
        compile_it = ["javac", "-nowarn", "-d", str(folder), "-cp", path, str(SOURCE)]
        subprocess.run(compile_it, check=True, capture_output=True, timeout=120)
        self._errors = (folder / "stderr.txt").open("w")
        self._process = subprocess.Popen(
            ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", path, "FlinkNfa"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

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

    def answer(self, case: Case, *, stepwise: bool = True) -> dict[str, Any]:
        """Give Flink's answer.

        Args:
            case: See `cases`.
            stepwise: Whether time moves on millisecond by millisecond.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**case, "stepwise": stepwise}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found
