"""Aggregates of a real web server's log against a program that knows nothing of ours."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.udfs.aggregation.brute import close
from udfs.aggregation import aggregate

LOG = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "apache_combined.log"
LINE = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+)[^"]*" (\d+) (\S+) "')
HOUR = 3_600

pytestmark = pytest.mark.skipif(
    not LOG.exists(), reason=f"{LOG} is not here; the project ships no data"
)

Request = tuple[str, int, str, int, int | None]
"""Client, second, path, status, bytes."""

SPECS: list[dict[str, Any]] = [
    {"aggregate": "bytes_1h", "value": "props.bytes", "function": "sum",
     "window": {"sliding": "1h"}},
    {"aggregate": "mean", "where": "props.status == 200", "value": "props.bytes",
     "function": "avg"},
    {"aggregate": "status", "value": "props.status", "function": "histogram"},
    {"aggregate": "pages", "value": "page_id", "function": "unique_count",
     "window": {"tumbling": "1d"}},
    {"aggregate": "visit", "value": "page_id", "function": "sequence", "k": 4,
     "window": {"session": "30m"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    """All requests in the order of their lines, which is not that of their times."""
    found: list[Request] = []
    for line in LOG.read_text(errors="backslashreplace").splitlines():
        match = LINE.match(line)
        assert match is not None, line
        client, time, _, path, status, size = match.groups()
        second = int(datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").timestamp())
        found.append((client, second, path, int(status), None if size == "-" else int(size)))
    assert len(found) == 10_000
    return found


def independent(rows: list[Request], at: int) -> dict[str, Any]:
    """Work the five out for one client."""
    rows = sorted(rows, key=lambda row: row[1])
    served = [size for *_, status, size in rows if status == 200 and size is not None]
    visit = rows[-1:] if at - rows[-1][1] <= HOUR // 2 else []
    for row in reversed(rows[:-1]):
        if not visit or visit[0][1] - row[1] > HOUR // 2:
            break
        visit.insert(0, row)
    return {
        "bytes_1h": sum(row[4] or 0 for row in rows if at - HOUR < row[1] <= at),
        "mean": fmean(served) if served else None,
        "status": dict(Counter(str(row[3]) for row in rows)),
        "pages": len({row[2] for row in rows if row[1] // 86_400 == at // 86_400}),
        "visit": [row[2] for row in visit[-4:]],
    }


@pytest.mark.parametrize("part", [1.0, 0.6, 0.25])
def test_five_aggregates(requests: list[Request], part: float) -> None:
    """Of every client, at three moments of the log."""
    last = sorted(row[1] for row in requests)[int(part * (len(requests) - 1))]
    rows = [row for row in requests if row[1] <= last]
    events = [
        {
            "event_id": str(number), "event_type": "get", "user_id": client,
            "event_time": second * 1000, "page_id": path,
            "props": {"status": status, "bytes": size},
        }
        for number, (client, second, path, status, size) in enumerate(rows)
    ]  # fmt: skip
    clients = defaultdict(list)
    for row in rows:
        clients[row[0]].append(row)
    got = aggregate(SPECS, events)
    assert got.keys() == clients.keys()
    busy = 0
    for client, own in clients.items():
        wanted = independent(own, last)
        found = got[client]
        assert close(found, wanted), (client, found, wanted)
        busy += bool(found["bytes_1h"])
    assert busy > 5
