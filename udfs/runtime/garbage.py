"""How often Python looks for cyclic garbage in a worker and in the watching process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

_THRESHOLDS: Final = (100_000, 20, 20)
"""State is no cyclic garbage, nor is a rule set, and looking through all of it again and again cost
15 % of a job, and a third of loading a rule set."""

_NURSERY: Final = 4_000
"""Objects after which the youngest are looked through: less than a millisecond."""
_YOUNG: Final = 2
"""Such looks after which what has survived them is looked through once more: no more than 12,000
objects. With 200,000, as many as come with a rule set, one look held the GIL for 200 ms."""
_NEVER: Final = 1_000_000_000


def look_seldom() -> None:
    """Collect what there is, leave what was imported alone from now on, and look less often."""
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()


class Keeper:
    """Sees to it that no batch of a worker waits for a look through the whole heap.

    Python itself looks through young objects only. All are looked through when there is reason to,
    because a program was replaced, and time, because hardly a batch comes; or, where it never has
    time, when many programs were replaced.

    Args:
        collect: Looks through everything.
    """

    MOST: Final = 20
    """Replaced programs that wait for a quiet moment."""

    def __init__(self, collect: Callable[[], object] = gc.collect) -> None:
        self._collect = collect
        self._replaced = 0

    def begin(self) -> None:
        """Collect what there is, and leave what was imported alone from now on."""
        gc.set_threshold(_NURSERY, _YOUNG, _NEVER)
        gc.collect()
        gc.freeze()

    def replaced(self) -> None:
        """Note that a program was replaced."""
        self._replaced += 1

    def look(self, *, quiet: bool) -> None:
        """Collect if there is reason to.

        Args:
            quiet: Whether there is time.
        """
        if self._replaced and (quiet or self._replaced >= self.MOST):
            self._replaced = 0
            self._collect()
