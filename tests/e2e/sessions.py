"""Sessions of `traffic`, and what `stitch` makes of the events that a job applies."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from hashlib import md5
from typing import Any

from tests.e2e import independent, shop
from tests.e2e.traffic import Logged
from udfs.stitching import stitch

GAP = "40s"
MAX_LENGTH = "5m"
MINUTE = 60_000

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


def applied(log: Sequence[Logged], out_of_orderness: int = 5_000, shards: int = 32) -> list[Any]:
    """Give the events that are no dead letters, not late and not doubled, in order of arrival."""
    newest: dict[Any, int] = defaultdict(lambda: -1)
    ids: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
    clocks: dict[str, int] = defaultdict(int)
    found = []
    for key, value, partition, _ in log:
        if independent.refusal(key, value, shop.MAX_EVENT_BYTES) is not None:
            continue
        assert key is not None
        assert value is not None
        event = json.loads(value)
        user, time = event["user_id"], event["event_time"]
        clock = md5(key).digest()[0] * shards // 256, partition
        firing = newest[clock] - out_of_orderness
        newest[clock] = max(newest[clock], time)
        now = max(time, clocks[user])
        known = ids[user]
        while known and now - known[0][0] >= 10 * MINUTE:
            known.popleft()
        if any(event["event_id"] == one for _, one in known):
            continue
        if len(known) == 256:
            known.popleft()
        known.append((now, event["event_id"]))
        if time >= firing:
            clocks[user] = now
            found.append(event)
    return found


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
