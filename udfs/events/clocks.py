"""Partition time: what is late, and how far deadlines may fire.

All events of a user lie in one partition, so time is kept per (shard, partition) and comes
from the events alone. F, the firing clock, is the largest ``event_time`` seen there minus
``out_of_orderness``; it never falls. Every time is an argument: nothing here reads a clock.
"""

from __future__ import annotations

import msgspec

NEVER = -(2**62)
"""A time before every event: the clock of a partition that brought nothing yet."""


class PartitionClock(msgspec.Struct, array_like=True, gc=False):
    """The clock of one partition inside one shard. Serialises as it is.

    Args:
        max_event_time: Largest ``event_time`` seen, milliseconds.
        last_offset: Offset of the last record, -1 before the first.
        regressions: Records whose offset was not above the one before: after a failover
            with a clock that stepped back, new rows can come before restored ones.
    """

    max_event_time: int = NEVER
    last_offset: int = -1
    regressions: int = 0

    def see_offset(self, offset: int) -> None:
        """Take note of a record, event or not; a step back is counted, never dropped. HOT."""
        if offset <= self.last_offset:
            self.regressions += 1
        self.last_offset = offset

    def observe(self, event_time: int) -> None:
        """Move on with one event. HOT."""
        if event_time > self.max_event_time:  # noqa: PLR1730 - max() costs twice as much
            self.max_event_time = event_time

    def firing(self, out_of_orderness_ms: int) -> int:
        """Give F. Monotone over `observe` for a fixed bound."""
        return self.max_event_time - out_of_orderness_ms

    def late(self, event_time: int, out_of_orderness_ms: int) -> bool:
        """Tell whether an event is late.

        Asking before or after the event was observed gives the same answer: an event that
        moves the clock is ahead of F by ``out_of_orderness_ms``.
        """
        return event_time < self.max_event_time - out_of_orderness_ms

    def firing_when_idle(
        self,
        out_of_orderness_ms: int,
        wall_ms: int,
        last_batch_wall_ms: int | None,
        idle_advance_ms: int | None,
    ) -> int:
        """Give the clock for firing deadlines; never to be used for lateness.

        F, plus the wall time since the last batch once that is longer than the bound. It is
        not kept: when events come again it falls back to F, so what remembers how far it has
        fired takes the larger one.

        Args:
            out_of_orderness_ms: As for F.
            wall_ms: Wall time now.
            last_batch_wall_ms: Wall time of the last batch with a record of this partition in
                this attempt of the job. None if there was none: after an outage the backlog
                may still be waiting, so nothing is added.
            idle_advance_ms: Silence after which wall time counts; None for never.

        Returns:
            Milliseconds, at least F.
        """
        firing = self.max_event_time - out_of_orderness_ms
        if last_batch_wall_ms is None or idle_advance_ms is None or self.max_event_time == NEVER:
            return firing
        silence_ms = wall_ms - last_batch_wall_ms
        return firing + silence_ms if silence_ms > idle_advance_ms else firing


def from_future(event_time: int, wall_ms: int, max_future_ms: int) -> bool:
    """Tell whether an event is further ahead than a clock error may put it.

    Such an event is a dead letter (reason ``future``): taken for true, one bad device would
    make everything behind it in the partition late.
    """
    return event_time > wall_ms + max_future_ms
