"""Where the time goes: what each rule cost, from a sample of the events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Runs


class Cost(msgspec.Struct):
    """What one rule cost in the events of the sample.

    Args:
        evaluations: Runs that were looked at, and beginnings that were tried.
        runs: Runs that were there, over all those events; those of a plain sequence that wait for
            the same step count as one.
        seconds: Its share of the time by evaluations.
    """

    evaluations: int = 0
    runs: int = 0
    seconds: float = 0.0


class Sampler:
    """Accounts for one processed event in `every`.

    Args:
        rules: Those of the machine.
        clock: Gives seconds, for example `time.perf_counter`.
        every: One event in so many is measured.

    Attributes:
        costs: By rule name.
        events: How many events were measured.
        fresh: Rules that were measured since somebody emptied this.
    """

    def __init__(
        self, rules: Iterable[CompiledRule], clock: Callable[[], float], every: int
    ) -> None:
        self.costs = {rule.name: Cost() for rule in rules}
        self.events = 0
        self.fresh: set[str] = set()
        self._rules = tuple(rules)
        self._clock = clock
        self._every = every
        self._left = every

    def due(self) -> bool:
        """Whether this event is one of the sample. HOT."""
        self._left -= 1
        if self._left:
            return False
        self._left = self._every
        return True

    @contextmanager
    def measure(
        self,
        runs: Runs,
        live: Mapping[int, int],
        touched: Iterable[int],
        begins: Iterable[int],
    ) -> Iterator[None]:
        """Measure the work of one event and share its time out.

        Args:
            runs: The user's, before the work.
            live: How many runs each rule has, as `Cost.runs` counts them.
            touched: Buckets that the event may change.
            begins: Rules that may begin with it, or that it may move on together.
        """
        looked_at = dict.fromkeys(begins, 1)
        for number in touched:
            for run in runs.buckets[number]:
                looked_at[run.state.rule] = looked_at.get(run.state.rule, 0) + 1
        for number, queues in runs.queues.items():
            looked_at[number] = looked_at.get(number, 0) + len(queues.partial) - 1
        for number, count in live.items():
            self.costs[self._rules[number].name].runs += count
        self.fresh.update(self._rules[number].name for number in (*live, *looked_at))
        began = self._clock()
        yield
        seconds = self._clock() - began
        self.events += 1
        total = sum(looked_at.values()) or 1
        for number, count in looked_at.items():
            cost = self.costs[self._rules[number].name]
            cost.evaluations += count
            cost.seconds += seconds * count / total
