"""CPU time of a process by thread, from Linux's ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")

_GROUPS: Final = (
    ("Source", "source"),
    ("decide", "decide (Python)"),
    ("WindowAggregate", "micro-batches"),
    ("bought", "matching and sink"),
    ("rule_", "matching and sink"),
    ("Sink", "matching and sink"),
    ("watch", "watch"),
    ("Legacy Source", "watch"),
    ("GC", "garbage collection"),
    ("G1", "garbage collection"),
    ("VM", "garbage collection"),
    ("C1", "JIT compiler"),
    ("C2", "JIT compiler"),
    ("kafka-producer", "Kafka producer"),
)


def cpu_seconds(pid: int) -> dict[str, float]:
    """Give the CPU time of each thread so far.

    Args:
        pid: Of the process.

    Returns:
        Seconds by ``name/tid``; empty where there is no ``/proc``.
    """
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            text = (task / "stat").read_text()
        except OSError:
            continue  # the thread has ended
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        found[f"{name}/{task.name}"] = (int(fields[11]) + int(fields[12])) / _TICKS
    return found


def per_event(
    before: Mapping[str, float], after: Mapping[str, float], events: int
) -> dict[str, float]:
    """Give µs of CPU per event by kind of thread, the largest first.

    Args:
        before: `cpu_seconds` at the beginning.
        after: The same at the end.
        events: Worked off in between.
    """
    spent: dict[str, float] = {}
    for thread, seconds in after.items():
        name = thread.rpartition("/")[0]
        group = next((group for prefix, group in _GROUPS if name.startswith(prefix)), name)
        spent[group] = spent.get(group, 0.0) + seconds - before.get(thread, 0.0)
    ranked = sorted(spent.items(), key=lambda item: -item[1])
    return {group: seconds * 1e6 / max(1, events) for group, seconds in ranked if seconds > 0}
