"""Sessions by hand: their records to the last key."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.udfs.stitching.suite import USER, Case, cases
from udfs.events.codec import from_dict
from udfs.schemas import validator
from udfs.stitching import Caps, Settings, Stitcher, pages, stitch
from udfs.stitching.stream import Stream

CASES = cases()
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def test_there_are_enough() -> None:
    """And each has a name of its own."""
    assert len(CASES) >= 20
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_the_records_are_those_written_by_hand(case: Case) -> None:
    """Neither more nor less."""
    assert stitch(case.events, **case.options) == case.sessions


@every_case
def test_the_records_fit_their_schemas(case: Case) -> None:
    """The tree and the flat list."""
    for record in stitch(case.events, **case.options):
        validator("udfs.stitching", "session.schema.json").validate(record)
        rows = pages(record)
        assert len(rows) == record["pages"]
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        for row in rows:
            validator("udfs.stitching", "page.schema.json").validate(row)


@every_case
def test_a_stream_gives_the_same(case: Case) -> None:
    """With a tolerance that holds all of the disorder, and the caps of a job."""
    stream = Stream(Settings.read(**case.options), 20_000)
    found = [record for event in case.events for record in stream.take(from_dict(event))]
    assert found + stream.finish() == case.sessions


@every_case
def test_other_users_change_nothing(case: Case) -> None:
    """Each user is alone."""
    other = [
        event | {"user_id": "bob", "event_time": event["event_time"] + 7} for event in case.events
    ]
    mixed = [event for pair in zip(case.events, other, strict=True) for event in pair]
    found = stitch(mixed, **case.options)
    assert [record for record in found if record["user_id"] == USER] == case.sessions
    assert len(found) == 2 * len(case.sessions)


@every_case
def test_order_of_arrival_changes_nothing(case: Case) -> None:
    """Where times differ; events of one time keep the order in which they came."""
    first: dict[str, dict[str, Any]] = {}
    for event in case.events:
        first.setdefault(event["event_id"], event)
    events = sorted(first.values(), key=lambda event: event["event_time"])
    draw = random.Random(5)
    for _ in range(5):
        rank = {time: draw.random() for time in {event["event_time"] for event in events}}
        shuffled = sorted(events, key=lambda event: rank[event["event_time"]])
        assert stitch(shuffled, **case.options) == case.sessions


FEATURES = [
    ("all levels announced", 61, 2, 2, 61, "A", False, ["A", "B"]),
    ("native page with H5 inside", 10, 2, 2, 10, "N", False, ["N", "H"]),
    ("native page with H5 inside", 19, 1, 2, 19, None, False, ["N", "H"]),
    ("background and return", 200, 1, 1, 30, None, False, ["A", "A"]),
    ("back to A", 25, 3, 3, 20, "B", False, ["A", "B", "A"]),
    ("references without a page", 6, 2, 2, 6, "A", False, ["A", "B"]),
    ("one page", 9, 1, 1, 9, None, True, ["A"]),
    ("page that comes from itself", 9, 1, 1, 5, None, True, ["A"]),
    ("page that outlives another", 9, 1, 2, 9, None, False, ["A", "D"]),
    ("lost leave", 10, 1, 2, 10, None, False, ["A", "B"]),
    ("no page at all", 9, 0, 0, 0, None, False, []),
    ("leave without enter", 1, 1, 1, 0, None, True, ["A"]),
    ("one page", 1801, 0, 0, 0, None, False, []),
]


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: f"{row[0]} at {row[1]}")
def test_features(row: tuple[Any, ...]) -> None:
    """At a time, of the events up to then; after the gap there is no session."""
    name, at, depth, count, dwell, came_from, bounce, path = row
    [case] = [case for case in CASES if case.name == name]
    stitcher = Stitcher(Settings.read(caps=Caps()))
    state = stitcher.decode(b"")
    for event in case.events:
        if event["event_time"] <= at * 1000:
            stitcher.update(state, from_dict(event))
    assert stitcher.features(state, at * 1000) == {
        "session.depth": depth, "session.pages": count, "session.dwell_ms": dwell * 1000,
        "session.came_from": came_from, "session.bounce": bounce, "session.path": path,
    }  # fmt: skip
