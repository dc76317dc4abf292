"""Partitions that bring nothing: the wall clock moves their firing clocks on."""

from __future__ import annotations

from collections.abc import Mapping

from udfs.decisions.header import Clock
from udfs.decisions.shard_settings import ShardSettings
from udfs.decisions.wheel import Wheel


class Silence:
    """How long the partitions of a shard have been silent.

    Args:
        settings: Of the core.
        clocks: Of the shard, by partition; they go on.
        wheel: Who waits in which partition.
        started_ms: Wall clock at the start of this attempt: silence is counted from there.

    Attributes:
        fired: Up to where deadlines were fired, by partition: an idle one was fired further than
            its events say.
    """

    def __init__(
        self,
        settings: ShardSettings,
        clocks: Mapping[int, Clock],
        wheel: Wheel,
        started_ms: int,
    ) -> None:
        self._settings = settings
        self._clocks = clocks
        self._wheel = wheel
        self._started_ms = started_ms
        self.fired: dict[int, int] = {}
        self._heard: dict[int, int] = {}

    def hear(self, partition: int, now_ms: int) -> None:
        """Note that a partition has brought something."""
        self._heard[partition] = now_ms

    def forget(self) -> None:
        """Count from the start of this attempt."""
        self._heard.clear()

    def next_advance(self, now_ms: int) -> int | None:
        """Give the wall time at which the clock of a partition is to be moved, ms, or None."""
        idle_ms = self._settings.idle_advance_ms
        if idle_ms is None:
            return None
        wanted = None
        for partition in self._wheel.partitions():
            wake = self._wheel.next_wake(partition)
            if wake is None:
                continue
            heard = self._heard.get(partition, self._started_ms)
            at = max(heard + max(idle_ms, wake - self._firing(partition)), now_ms + 1)
            wanted = at if wanted is None else min(wanted, at)
        return wanted

    def advanced(self, now_ms: int) -> list[tuple[int, int]]:
        """Give the partitions that are silent for long enough, each with its moved clock, ms."""
        idle_ms = self._settings.idle_advance_ms
        if idle_ms is None:
            return []
        found = []
        for partition in self._wheel.partitions():
            silent_ms = now_ms - self._heard.get(partition, self._started_ms)
            if silent_ms >= idle_ms:
                found.append((partition, self._firing(partition) + silent_ms))
        return found

    def _firing(self, partition: int) -> int:
        return self._clocks[partition].newest - self._settings.out_of_orderness_ms
