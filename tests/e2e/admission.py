"""Which events of a log reach a subject, by straightforward code."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import Any

from tests.e2e import independent, shop
from tests.e2e.traffic import Logged

_DEDUPE_MS = 600_000
_IDS = 256


def admitted(
    log: Sequence[Logged], out_of_orderness: int = 5_000, shards: int = 32
) -> Iterator[tuple[dict[str, Any], int, bool]]:
    """Give the events that are neither dead letters nor doubled, in order of arrival.

    Args:
        log: The records.
        out_of_orderness: Of the job, ms.
        shards: Of the job.

    Returns:
        Each event, the time of its user's rules with it, ms, and whether it is late.
    """
    newest: dict[Any, int] = defaultdict(lambda: -1)
    ids: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
    clocks: dict[str, int] = defaultdict(int)
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
        while known and now - known[0][0] >= _DEDUPE_MS:
            known.popleft()
        if any(event["event_id"] == one for _, one in known):
            continue
        if len(known) == _IDS:
            known.popleft()
        known.append((now, event["event_id"]))
        if time >= firing:
            clocks[user] = now
        yield event, now, time < firing
