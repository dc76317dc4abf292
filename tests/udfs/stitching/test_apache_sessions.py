"""Sessions of a real web server's log against a program that knows nothing of ours."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from udfs.stitching import pages, stitch

LOG = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "apache_combined.log"
LINE = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+)[^"]*" \d+ \S+ "([^"]*)" "(.*?)"?$')
GAP_S = 1_800
HOSTS = ("semicomplete.com", "www.semicomplete.com")

pytestmark = pytest.mark.skipif(
    not LOG.exists(), reason=f"{LOG} is not here; the project ships no data"
)

Request = tuple[str, int, str, str, int]
"""Client, second, path, path of the referrer or nothing, number of the line."""


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    """All requests by time; those of one second in the order of their lines."""
    found: list[Request] = []
    for number, line in enumerate(LOG.read_text(errors="backslashreplace").splitlines(), 1):
        match = LINE.match(line)
        assert match is not None, line
        client, time, _, path, referrer, agent = match.groups()
        second = int(datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").timestamp())
        parts = urlsplit(referrer)
        origin = parts.path if parts.netloc in HOSTS else ""
        found.append((f"{client} {agent}", second, path, origin, number))
    found.sort(key=lambda request: request[1])
    assert len(found) == 10_000
    return found


def events(requests: list[Request]) -> list[dict[str, Any]]:
    """Each request enters a page; the referrer is the client's latest visit of that path."""
    latest: dict[tuple[str, str], str] = {}
    found = []
    for client, second, path, origin, number in requests:
        event = {
            "event_id": f"line-{number}", "event_type": "page_enter", "user_id": client,
            "event_time": second * 1000, "source": "h5", "page_id": path,
            "page_instance": f"{path}#{number}",
        }  # fmt: skip
        if origin:
            event["from_page_instance"] = latest.get((client, origin), origin)
        latest[client, path] = event["page_instance"]
        found.append(event)
    return found


def test_sessions_pages_entries_and_exits(requests: list[Request]) -> None:
    """Number of sessions, pages of each, first and last page, stays, and what led where."""
    wanted = []
    for client, own in groupby(sorted(requests, key=lambda one: one[0]), key=lambda one: one[0]):
        session: list[Request] = []
        visits = list(own)
        for request, following in zip(visits, [*visits[1:], None], strict=True):
            session.append(request)
            if following is not None and following[1] - request[1] <= GAP_S:
                continue
            seen: dict[str, int] = {}
            inside = 0
            for one in session:
                inside += one[3] in seen and bool(one[3])
                seen[one[2]] = one[4]
            wanted.append((
                session[0][1] * 1000, client, len(session), session[0][2], session[-1][2],
                (session[-1][1] - session[0][1]) * 1000, inside,
            ))  # fmt: skip
            session = []
    found = []
    for record in stitch(events(requests), gap="30m", max_length="3650d"):
        rows = pages(record)
        assert sum(len(row["went_to"]) for row in rows) == sum(
            row["came_from"] is not None and not row["came_from"].get("outside") for row in rows
        )
        found.append((
            record["start"], record["user_id"], record["pages"], rows[0]["page_id"],
            rows[-1]["page_id"], sum(row["dwell_ms"] for row in rows),
            sum(len(row["went_to"]) for row in rows),
        ))  # fmt: skip
    assert len(wanted) > 1_000
    assert sum(one[-1] for one in wanted) > 1_000
    assert found == sorted(wanted)
