"""How long to wait before the next try."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """Waits that double, each drawn from the upper half so that clients do not march in step.

    Args:
        first_s: The first.
        longest_s: Never longer.
        uniform: ``random.uniform`` or a stand-in.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._uniform = uniform
        self._failures = 0

    def failed(self) -> float:
        """Count a failure and give the seconds to wait."""
        # 2 ** 30 s is 34 years: a bound for the exponent, not for the wait.
        wait_s = min(self._longest_s, self._first_s * 2 ** min(self._failures, 30))
        self._failures += 1
        return self._uniform(wait_s / 2, wait_s)

    def succeeded(self) -> None:
        """Start from the first again."""
        self._failures = 0
