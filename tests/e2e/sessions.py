"""Sessions of `traffic`, and what `stitch` makes of the events that a job applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.e2e.admission import admitted
from tests.e2e.traffic import Logged
from udfs.stitching import stitch

GAP = "40s"
MAX_LENGTH = "5m"

PARTS: dict[str, Any] = {
    "rules": [],
    "aggregates": [],
    "flows": [
        {
            "flow": "where", "version": 1, "trigger": {"event": "pay"},
            "features": ["session.pages", "session.depth", "session.path", "session.dwell_ms",
                         "session.bounce", "session.came_from"],
            "action": {"payload": {"deep": "f['session.depth'] > 1"}},
        }
    ],
}  # fmt: skip


def applied(log: Sequence[Logged]) -> list[Any]:
    """Give the events that are no dead letters, not late and not doubled, in order of arrival."""
    return [event for event, _, late in admitted(log) if not late]


def compare(got: Sequence[dict[str, Any]], log: Sequence[Logged]) -> int:
    """Compare sessions that have ended with those of `stitch`; give how many there are.

    What `stitch` leaves open at the end of the log may have ended in the job, by its clocks.
    """
    wanted = {one["session_id"]: one for one in stitch(applied(log), GAP, MAX_LENGTH)}
    ended = {name for name, one in wanted.items() if one["end_reason"] != "eof"}
    found = {one["session_id"]: one for one in got}
    assert len(found) == len(got)
    assert ended <= found.keys() <= wanted.keys()
    for name, one in found.items():
        if name in ended:
            assert one == wanted[name]
        else:
            assert one == wanted[name] | {"end_reason": "gap"}
    return len(found)
