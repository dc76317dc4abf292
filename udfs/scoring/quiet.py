"""TensorFlow without its chatter on stderr."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def import_tensorflow() -> Any:
    """Import TensorFlow, which takes seconds the first time, and keep it from logging.

    A level that the environment sets already stays.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when the library is loaded
    return importlib.import_module("tensorflow")


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Send what is written to stderr nowhere, by C++ too; for publishing, not for workers.

    TensorFlow's converter writes warnings that no log level stops. What goes wrong comes as an
    exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
