"""Notes of what the job's operator does and when, written to files while it does it.

`calls` holds four 64-bit integers a call: kind (an index of `KINDS`), begin, end, size. Times are
``perf_counter_ns``, which on Linux is one clock for all processes. Between an end and the next
begin the operator waits, or Java works. `gaps` holds JSON lines, see `Sampler`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from udfs.runtime.decide import DecideFunction
from udfs.runtime.switching import MESSAGES

KINDS: Final = (
    "batch", "timer", "prepare", "commit", "poll", "abort", "kill", "running", "record",
)  # fmt: skip
"""Of calls; from ``prepare`` on they are what comes by broadcast."""

CALLS: Final = "calls"
GAPS: Final = "gaps"
INTEGERS_A_CALL: Final = 4

GAP_MS: Final = 20
"""Gaps of the sampler that are noted."""

_TICK_S: Final = 0.001
_FLUSH: Final = 1_024 * INTEGERS_A_CALL
_BATCH: Final = KINDS.index("batch")
_TIMER: Final = KINDS.index("timer")
_RECORD: Final = KINDS.index("record")
_NS_PER_MS: Final = 1_000_000

_now = time.perf_counter_ns


class Marks:
    """Writes calls.

    Args:
        path: The file; what it held is kept.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._calls = array("q")

    def add(self, kind: int, began: int, ended: int, size: int) -> None:
        """Note a call; every thousandth time they are written, in some ten microseconds."""
        self._calls.extend((kind, began, ended, size))
        if len(self._calls) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        self._file.write(self._calls)
        del self._calls[:]


class Sampler:
    """A thread that sleeps a millisecond at a time and notes when it could not go on.

    Either another thread held the GIL, or the machine had no processor to spare. Two times tell
    which: `busy_ms`, CPU time of the watched thread in the gap, and `queued_ms`, for how long the
    sampler was ready to run and Linux gave it no processor; who waits for the GIL sleeps. The
    frames are those of the first moment after the gap; a thread that was in Java has none.

    Args:
        path: File of JSON lines ``{"began", "ended", "busy_ms", "queued_ms", "main", "others"}``.
        watched: Identity of the thread that works.
    """

    def __init__(self, path: Path, watched: int) -> None:
        self._path = path
        self._watched = watched
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        own = threading.get_ident()
        clock = time.pthread_getcpuclockid(self._watched)
        path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        with self._path.open("a", buffering=1) as out, path.open("rb", buffering=0) as stats:

            def look() -> tuple[int, int, int]:
                queued = int(os.pread(stats.fileno(), 64, 0).split()[1])
                return _now(), time.clock_gettime_ns(clock), queued

            began, spent, queued = look()
            while not self._stop.is_set():
                time.sleep(_TICK_S)
                ended, until, in_queue = look()
                if ended - began > GAP_MS * _NS_PER_MS:
                    frames = sys._current_frames()  # noqa: SLF001 - there is no other way
                    main = frames.pop(self._watched, None)
                    frames.pop(own, None)
                    gap = {
                        "began": began,
                        "ended": ended,
                        "busy_ms": (until - spent) / _NS_PER_MS,
                        "queued_ms": (in_queue - queued) / _NS_PER_MS,
                        "main": place(main),
                        "others": sorted(place(frame) for frame in frames.values()),
                    }
                    del frames, main
                    out.write(json.dumps(gap) + "\n")
                    ended, until, in_queue = look()
                began, spent, queued = ended, until, in_queue


def place(frame: FrameType | None) -> str:
    """Give where a frame is, e.g. ``udfs/decisions/shard.py:120 process``."""
    if frame is None:
        return "in Java"
    code = frame.f_code
    file = "/".join(Path(code.co_filename).parts[-3:])
    return f"{file}:{frame.f_lineno} {code.co_name}"


def kind_of(topic: str, line: str) -> int:
    """Give the kind of what came by broadcast, without reading all of it."""
    if topic != MESSAGES:
        return _RECORD
    # The watcher writes the type first.
    return KINDS.index(line[: len('{"type":"prepare"')].split('"')[3])


class MarkedDecide(DecideFunction):
    """The job's operator, with a look at the clock around each call.

    Args:
        folder: Where the files go.
        gil: Whether a `Sampler` runs.
        given: What the operator is given.
    """

    def __init__(self, folder: str, gil: bool, *given: Any) -> None:  # noqa: FBT001 - bound
        super().__init__(*given)
        self._folder = folder
        self._gil = gil
        self._marks: Marks | None = None
        self._sampler: Sampler | None = None

    def open(self, runtime_context: Any) -> None:
        """As the job does; begins to note."""
        super().open(runtime_context)
        folder = Path(self._folder)
        self._marks = Marks(folder / CALLS)
        if self._gil:
            self._sampler = Sampler(folder / GAPS, threading.get_ident())

    def close(self) -> None:
        """As the job does; writes what was noted."""
        if self._sampler is not None:
            self._sampler.close()
        if self._marks is not None:
            self._marks.flush()
        super().close()

    def process_element(self, value: Any, ctx: Any) -> Iterator[Any]:
        """Note a batch, with the number of its events."""
        yield from self._noted(_BATCH, len(value[2]), super().process_element(value, ctx))

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        """Note a timer."""
        yield from self._noted(_TIMER, 0, super().on_timer(timestamp, ctx))

    def process_broadcast_element(self, value: Any, ctx: Any) -> Iterator[Any]:
        """Note a message, with its length."""
        kind = kind_of(value[0], value[1])
        work = super().process_broadcast_element(value, ctx)
        yield from self._noted(kind, len(value[1]), work)

    def _noted(self, kind: int, size: int, work: Iterator[Any]) -> Iterator[Any]:
        began = _now()
        yield from work
        assert self._marks is not None
        self._marks.add(kind, began, _now(), size)
