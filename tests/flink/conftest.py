"""A JVM in the test process: its Python must be the one that runs the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The embedded interpreter is looked for on the PATH that the JVM is started with.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """A local job in process mode leaves variables behind that would lead workers here."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
