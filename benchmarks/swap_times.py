"""What the notes of the worker come to, one part of a run at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.in_worker.marks import GAP_MS, INTEGERS_A_CALL, KINDS
from benchmarks.latency import quantile

LONG_MS: Final = 100.0
"""Calls that are counted as long: events wait for the end of any call."""

_NS_PER_MS: Final = 1e6


class Spread(msgspec.Struct):
    """Times of something, ms; all 0 if there was none."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    most: float = 0.0

    @classmethod
    def of(cls, times_ms: Iterable[float]) -> Spread:
        """Sum up.

        >>> Spread.of([1.0, 3.0, 2.0])
        Spread(count=3, p50=2.0, p99=3.0, p999=3.0, most=3.0)
        """
        found = sorted(times_ms)
        if not found:
            return cls()
        p50, p99, p999 = (quantile(found, part) for part in (0.5, 0.99, 0.999))
        return cls(len(found), p50, p99, p999, found[-1])


class Gap(msgspec.Struct):
    """When the sampler could not go on; see `benchmarks.in_worker.marks.Sampler`."""

    began: int
    ended: int
    busy_ms: float
    queued_ms: float
    main: str
    others: list[str]

    @property
    def ms(self) -> float:
        """How long."""
        return (self.ended - self.began) / _NS_PER_MS

    @property
    def held_ms(self) -> float:
        """For how long the working thread may have held the GIL, at most.

        It cannot have been longer than it ran, nor while the sampler waited for a processor. What
        is left may also be work in Java, without the GIL.
        """
        return min(self.busy_ms, self.ms - self.queued_ms)

    @property
    def held(self) -> bool:
        """Whether that is a gap by itself; else it was the machine."""
        return self.held_ms > GAP_MS


class Window(msgspec.Struct):
    """A part of a run, by the clock of the calls and by the wall clock."""

    name: str
    began_ns: int
    ended_ns: int
    began_ms: int
    ended_ms: int


class Part(msgspec.Struct):
    """What was seen in a window.

    Args:
        name: Of the window.
        seconds: Its length.
        events: In its batches.
        batches: Times of batches.
        calls: Times of all calls on that thread, batches included.
        by_kind: Times of all other calls by kind.
        long: How many calls took more than `LONG_MS`.
        long_ms: How long these took together.
        busy: Share of the time in which the thread was in a call.
        latency: From the making of an event to the decision on it at the broker.
        gaps: Those of the sampler, the longest first; None if there was no sampler.
    """

    name: str
    seconds: float
    events: int
    batches: Spread
    calls: Spread
    by_kind: dict[str, Spread]
    long: int
    long_ms: float
    busy: float
    latency: Spread
    gaps: list[Gap] | None


def read_calls(path: Path) -> NDArray[np.int64]:
    """Read calls, a row each: kind, begin, end, size."""
    found = np.fromfile(path, dtype=np.int64)
    whole = len(found) - len(found) % INTEGERS_A_CALL
    return found[:whole].reshape(-1, INTEGERS_A_CALL)


def read_gaps(path: Path) -> list[Gap]:
    """Read gaps; a last line that is not whole is left out."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [msgspec.json.decode(line, type=Gap) for line in lines]


def part(
    window: Window,
    calls: NDArray[np.int64],
    latencies: Sequence[tuple[int, int]],
    gaps: Sequence[Gap] | None,
) -> Part:
    """Sum up a window.

    Args:
        window: What began in it counts.
        calls: All calls.
        latencies: When events were made, and how long until their decisions, ms.
        gaps: All gaps.
    """
    mine = calls[(calls[:, 1] >= window.began_ns) & (calls[:, 1] < window.ended_ns)]
    times = (mine[:, 2] - mine[:, 1]) / _NS_PER_MS
    batch = mine[:, 0] == KINDS.index("batch")
    length_ms = (window.ended_ns - window.began_ns) / _NS_PER_MS
    by_kind = {
        name: Spread.of(times[mine[:, 0] == number].tolist())
        for number, name in enumerate(KINDS)
        if name != "batch" and (mine[:, 0] == number).any()
    }
    waited = (ms for at_ms, ms in latencies if window.began_ms <= at_ms < window.ended_ms)
    long = times[times > LONG_MS]
    return Part(
        window.name, length_ms / 1_000, int(mine[batch, 3].sum()),
        Spread.of(times[batch].tolist()), Spread.of(times.tolist()), by_kind,
        len(long), float(long.sum()), float(times.sum()) / length_ms,
        Spread.of(map(float, waited)), _within(gaps, window),
    )  # fmt: skip


def _within(gaps: Sequence[Gap] | None, window: Window) -> list[Gap] | None:
    if gaps is None:
        return None
    found = [gap for gap in gaps if window.began_ns <= gap.began < window.ended_ns]
    return sorted(found, key=lambda gap: -gap.ms)


def longest(calls: NDArray[np.int64], kind: str, began_ns: int, ended_ns: int) -> float | None:
    """Give the longest call of a kind that began in a time, ms; None if there was none."""
    mine: NDArray[Any] = calls[
        (calls[:, 0] == KINDS.index(kind)) & (calls[:, 1] >= began_ns) & (calls[:, 1] < ended_ns)
    ]
    return float((mine[:, 2] - mine[:, 1]).max()) / _NS_PER_MS if len(mine) else None
