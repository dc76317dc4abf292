"""Processes beside a worker give way to it."""

from __future__ import annotations

import os
from typing import Final

_STEPS: Final = 10
"""Linux gives a process ten steps below another a tenth of its share, where both want the core."""


def give_way() -> None:
    """Let whoever decides go first: compiling and checking can wait, a batch cannot."""
    os.nice(_STEPS)
