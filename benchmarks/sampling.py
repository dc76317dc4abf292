"""Where Python's time goes: a look at the running function every few milliseconds of CPU.

A signal is handled between two instructions of Python: at calls, at the end of a loop's turn and
after calls of C. A function that was only just entered is not to blame for the time until then,
so its caller is. What C does counts for the function that called it, and so does a short function
that neither loops nor calls anything.
"""

from __future__ import annotations

import dis
import functools
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

_EVERY_S: Final = 0.001  # of CPU; the kernel may round it up to its tick
_RESUME: Final = dis.opmap["RESUME"]


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Give what was running, by how often it was seen; filled until the end."""
    seen: Counter[str] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_back is not None and _just_entered(frame):
            frame = frame.f_back
        if frame is not None:
            seen[_name(frame.f_code)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        yield seen
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def counted(work: Callable[[], None]) -> Counter[str]:
    """Give how often each Python function is called by some work."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, what: str, _argument: Any) -> None:
        if what == "call":
            calls[_name(frame.f_code)] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def _just_entered(frame: FrameType) -> bool:
    return frame.f_lasti <= _first(frame.f_code)


@functools.cache
def _first(code: CodeType) -> int:
    """Offset of the instruction that begins the function proper."""
    at = code.co_code[::2].find(bytes([_RESUME]))
    return 2 * at


@functools.cache
def _name(code: CodeType) -> str:
    return f"{Path(code.co_filename).stem}.{code.co_qualname}"
