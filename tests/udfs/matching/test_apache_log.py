"""Rules over a real web server's log, all matches against programs that know no matcher."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from udfs.matching import match

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "apache_log.py"
LOG = ROOT.parent / "shared" / "data" / "apache_combined.log"
REQUESTS = 10_000
END = 4_000_000_000_000  # all deadlines have passed

MINUTE = 60_000
FAIR = 300
"""Matches of a rule at least, or the log would not try it."""

pytestmark = pytest.mark.skipif(
    not LOG.exists(), reason=f"{LOG} is not here; the project ships no data"
)

Event = dict[str, Any]
Found = tuple[str, int, dict[str, list[str]]]
"""User, time, ids of the events by step."""


@pytest.fixture(scope="module")
def requests() -> list[Event]:
    """The log by time; requests of one second in the order of their lines."""
    spec = importlib.util.spec_from_file_location("apache_log", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    lines = LOG.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    assert len(lines) == REQUESTS
    found: list[Event] = sorted(example.events(lines), key=lambda event: event["event_time"])
    assert len(found) == REQUESTS
    return found


def compare(rule: Event, requests: list[Event], wanted: list[Found]) -> None:
    """See that the matcher finds just that."""
    found = [
        (one["user_id"], one["at"], {
            step: [event["event_id"] for event in taken] for step, taken in one["steps"].items()
        })
        for one in match([rule], requests, end_time=END)
    ]  # fmt: skip
    assert len(wanted) >= FAIR
    assert sorted(found, key=str) == sorted(wanted, key=str)


def by_client(requests: list[Event]) -> list[list[Event]]:
    """Give the requests of each client."""
    clients = defaultdict(list)
    for event in requests:
        clients[event["user_id"]].append(event)
    return list(clients.values())


def test_a_sequence(requests: list[Event]) -> None:
    """Anything served but a style sheet, then a style sheet, then an image, within a minute."""
    rule = {
        "rule": "rendered", "version": 1, "within": "1m",
        "pattern": [
            {"step": "page", "where": "props.status == 200 && !props.path.endsWith('.css')"},
            {"step": "style", "where": "props.path.endsWith('.css')"},
            {"step": "image", "where": "props.path.startsWith('/images/')"},
        ],
    }  # fmt: skip
    wanted: list[Found] = []
    for events in by_client(requests):
        for i, page in enumerate(events):
            if page["props"]["status"] != 200 or page["props"]["path"].endswith(".css"):
                continue
            taken = [page]
            for event in events[i + 1 :]:
                path = event["props"]["path"]
                if event["event_time"] >= page["event_time"] + MINUTE:
                    break
                if path.endswith(".css") if len(taken) == 1 else path.startswith("/images/"):
                    taken.append(event)
                if len(taken) == 3:
                    steps = zip(("page", "style", "image"), taken, strict=True)
                    ids = {step: [one["event_id"]] for step, one in steps}
                    wanted.append((page["user_id"], event["event_time"], ids))
                    break
    compare(rule, requests, wanted)


def test_an_iteration_that_looks_at_an_earlier_step(requests: list[Event]) -> None:
    """A path that its client asks for again and again: a match for two repeats, one for three."""
    rule = {
        "rule": "again", "version": 1, "within": "6h",
        "pattern": [
            {"step": "first"},
            {"step": "repeat", "times": "2..3", "where": "props.path == last(first).props.path"},
        ],
    }  # fmt: skip
    wanted: list[Found] = []
    for events in by_client(requests):
        for i, first in enumerate(events):
            repeats: list[str] = []
            for event in events[i + 1 :]:
                if event["event_time"] >= first["event_time"] + 360 * MINUTE:
                    break
                if event["props"]["path"] != first["props"]["path"]:
                    continue
                repeats.append(event["event_id"])
                if len(repeats) >= 2:
                    ids = {"first": [first["event_id"]], "repeat": list(repeats)}
                    wanted.append((first["user_id"], event["event_time"], ids))
                if len(repeats) == 3:
                    break
    compare(rule, requests, wanted)


def test_an_absence(requests: list[Event]) -> None:
    """A page of an article, and nothing else of the same kind by that client for ten minutes."""
    rule = {
        "rule": "left", "version": 1, "within": "10m",
        "pattern": [
            {"step": "page", "where": "props.path.startsWith('/blog/geekery/')"},
            {"step": "other", "then": "not_followed_by",
             "where": "props.path.startsWith('/blog/') || props.path == '/'"},
        ],
    }  # fmt: skip
    wanted: list[Found] = []
    for events in by_client(requests):
        for i, page in enumerate(events):
            if not page["props"]["path"].startswith("/blog/geekery/"):
                continue
            deadline = page["event_time"] + 10 * MINUTE
            for event in events[i + 1 :]:
                path = event["props"]["path"]
                if event["event_time"] >= deadline:
                    wanted.append((page["user_id"], deadline, {"page": [page["event_id"]]}))
                    break
                if path.startswith("/blog/") or path == "/":
                    break
            else:
                wanted.append((page["user_id"], deadline, {"page": [page["event_id"]]}))
    compare(rule, requests, wanted)
