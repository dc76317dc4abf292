"""How often Python looks for cyclic garbage in a worker and in the watching process."""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (100_000, 20, 20)
"""State is no cyclic garbage, nor is a rule set, and looking through all of it again and again cost
15 % of a job, and a third of loading a rule set."""


def look_seldom() -> None:
    """Collect what there is, leave what was imported alone from now on, and look less often."""
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()
