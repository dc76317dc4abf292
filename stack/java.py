"""The Java that runs Kafka and Flink."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from udfs.errors import StackError

VERSION = 17

LIGHT = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""For processes of a local stack that live for minutes and share two cores with the job: the
optimising compiler would take several times what it saves."""


def find() -> str:
    """The ``java`` program: that of ``JAVA_HOME`` if set, else the one on the path.

    Raises:
        StackError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else "java"
    found = shutil.which(program)
    if found is None:
        raise StackError(
            f"java: {program!r} is not there; install Java {VERSION} or set JAVA_HOME to it"
        )
    return found


def check(program: str) -> None:
    """Refuse a Java that the stack is not tested on.

    Raises:
        StackError: It is of another version.
    """
    answer = subprocess.run(  # noqa: S603 - found above
        [program, "-version"], capture_output=True, text=True, check=False
    )
    match = re.search(r'version "(\d+)', answer.stderr)
    if match is None or int(match.group(1)) != VERSION:
        version = match.group(1) if match else answer.stderr.strip()
        raise StackError(
            f"java: {program} is version {version}, Flink's thread mode is tested on {VERSION}; "
            f"install Java {VERSION} and set JAVA_HOME to it"
        )
