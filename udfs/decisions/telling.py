"""What a shard tells on `control` beside decisions: counts, and fuses that are gone."""

from __future__ import annotations

import structlog

from udfs.decisions.header import Header
from udfs.decisions.program import Program
from udfs.decisions.records import Outlet
from udfs.decisions.shard_settings import ShardSettings

_log = structlog.get_logger("millrace.rules")


class Teller:
    """Tells it for one shard.

    Args:
        number: Of the shard.
        header: Of the shard.
        settings: Of the core.
        started_ms: Wall clock at the start of this attempt.
    """

    def __init__(
        self, number: int, header: Header, settings: ShardSettings, started_ms: int
    ) -> None:
        self._number = number
        self._header = header
        self._interval_ms = settings.counts_interval_ms
        self._told_ms = started_ms

    def wanted_timer(self, now_ms: int) -> int | None:
        """Give the wall time at which there is something to tell, ms, or None."""
        if self._header.told == self._header.tally():
            return None
        return max(now_ms + 1, self._told_ms + self._interval_ms)

    def tell(self, outlet: Outlet, program: Program, now_ms: int) -> None:
        """Tell the fuses that went, and the counts if it is time."""
        header = self._header
        for alert in program.report.take_alerts():
            _log.warning("the fuse of a rule is gone: it is in the shadow", **alert)
            outlet.control("fuse", self._number, header.offsets(), **alert)
        due = now_ms - self._told_ms >= self._interval_ms
        if due and header.told != header.tally():
            header.told = header.tally()
            self._told_ms = now_ms
            header.counts["expression_errors"] += program.take_errors()
            rules, passed_over = program.report.take(), program.take_passed_over()
            outlet.control(
                "counts", self._number, header.offsets(), counts=dict(header.counts),
                **({"rules": rules} if rules else {}),
                **({"aggregates": passed_over} if passed_over else {}),
            )  # fmt: skip
