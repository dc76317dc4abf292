"""A JVM in the test process: its Python must be the one that runs the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The embedded interpreter is looked for on the PATH that the JVM is started with.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
