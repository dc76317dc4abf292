"""What holds for every session, whatever the events."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.stitching.worlds import DURATIONS, GAP, MAX_LENGTH, TOLERANCE, arrivals, events
from udfs.events.codec import from_dict
from udfs.schemas import validator
from udfs.stitching import Caps, Settings, Stitcher, pages, stitch
from udfs.stitching.stream import Stream

Events = list[dict[str, Any]]

SETTINGS = Settings.read(**DURATIONS, caps=Caps.none(), path=4)


def tree_pages(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the pages of a tree."""
    return [page for app in record["apps"] for scene in app["scenes"] for page in scene["pages"]]


@given(events())
def test_a_tree_is_sound(log: Events) -> None:
    """Levels, times, references, sums."""
    records = stitch(log, **DURATIONS)
    assert sum(record["events"] for record in records) == len(log)
    for record in records:
        validator("udfs.stitching", "session.schema.json").validate(record)
        assert 0 <= record["end"] - record["start"] <= MAX_LENGTH
        check_levels(record)
        check_pages(record)
        check_references(record)
    for one, other in itertools.pairwise(records):
        check_boundary(one, other)


def check_boundary(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Sessions follow each other, for the reason that is given."""
    assert one["end"] <= other["start"]
    wait = other["start"] - one["end"]
    if one["end_reason"] == "gap":
        assert wait > GAP
    elif one["end_reason"] == "max_length":
        assert wait <= GAP
        assert other["start"] - one["start"] > MAX_LENGTH
    else:
        assert one["end_reason"] == "explicit"


def check_levels(record: dict[str, Any]) -> None:
    """A child lies inside its parent; what is implied is as long as its children."""
    for app in record["apps"]:
        assert record["start"] <= app["start"] <= app["end"] <= record["end"]
        assert app["scenes"] or not app["implied"]
        for scene in app["scenes"]:
            assert app["start"] <= scene["start"] <= scene["end"] <= app["end"]
            assert scene["pages"] or not scene["implied"]
            for page in scene["pages"]:
                assert scene["start"] <= page["enter"] <= page["leave"] <= scene["end"]
                for event in page["behaviours"]:
                    assert page["enter"] <= event["event_time"] <= scene["end"]
            if scene["implied"]:
                assert scene["start"] == min(page["enter"] for page in scene["pages"])
        if app["implied"]:
            assert app["start"] == min(scene["start"] for scene in app["scenes"])
            assert app["end"] == max(scene["end"] for scene in app["scenes"])


def check_pages(record: dict[str, Any]) -> None:
    """Each page and each behaviour has one parent; nobody dwells longer than the session."""
    found = tree_pages(record)
    instances = [page["page_instance"] for page in found]
    assert len(set(instances)) == len(instances) == record["pages"]
    ids = [event["event_id"] for page in found for event in page["behaviours"]]
    assert len(set(ids)) == len(ids) <= record["events"]
    for page in found:
        assert 0 <= page["dwell_ms"] <= page["leave"] - page["enter"]
    assert sum(page["dwell_ms"] for page in found) <= record["end"] - record["start"]
    assert record["bounce"] == (len(found) == 1 and not ids)
    assert [row["page_instance"] for row in pages(record)] == [
        page["page_instance"] for page in sorted(found, key=lambda page: page["enter"])
    ] or len({page["enter"] for page in found}) < len(found)


def check_references(record: dict[str, Any]) -> None:
    """They lead to pages of the session, each with just one mirror, or are outside."""
    found = {page["page_instance"]: page for page in tree_pages(record)}
    there, back = set(), set()
    for instance, page in found.items():
        came_from = page["came_from"]
        if came_from is not None:
            assert came_from["page_instance"] != instance
            if came_from.get("outside"):
                assert came_from["page_instance"] not in found
            else:
                assert came_from["page_instance"] in found
                back.add((came_from["page_instance"], came_from["event_id"], instance))
        for arrow in page["went_to"]:
            mirror = (instance, arrow["event_id"], arrow["page_instance"])
            assert mirror not in there
            there.add(mirror)
    assert there == back


@given(arrivals())
def test_order_of_arrival_inside_the_tolerance_changes_nothing(log: Events) -> None:
    """For a list and for a stream, doubled events included."""
    ordered = sorted({event["event_id"]: event for event in log}.values(), key=_time)
    wanted = stitch(ordered, **DURATIONS)
    assert stitch(log, **DURATIONS) == wanted
    stream = Stream(SETTINGS, TOLERANCE)
    found = [record for event in log for record in stream.take(from_dict(event))]
    assert found + stream.finish() == wanted
    counts = stream.stitcher.counts
    assert counts.events + counts.duplicates + counts.late == len(log)
    assert counts.events == len(ordered)


@given(arrivals(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_closing_more_or_less_often_changes_nothing(log: Events, random: Any) -> None:
    """A job closes when it comes to it."""
    stitcher = Stitcher(SETTINGS)
    state = stitcher.decode(b"")
    found, newest = [], 0
    for event in log:
        newest = max(newest, event["event_time"])
        stitcher.update(state, from_dict(event), newest - TOLERANCE)
        if random.random() < 0.2:
            found += stitcher.close(state, "u", newest - TOLERANCE)
    found += stitcher.finish(state, "u")
    assert found == stitch(log, **DURATIONS)
    assert stitcher.encode(state) == b""


@given(arrivals())
@settings(max_examples=60)
def test_put_away_after_every_event(log: Events) -> None:
    """And read again: as without."""
    calm, moved = Stitcher(SETTINGS), Stitcher(SETTINGS)
    state, blob, newest = calm.decode(b""), b"", 0
    for event in log:
        newest = max(newest, event["event_time"])
        clock, given_event = newest - TOLERANCE, from_dict(event)
        other = moved.decode(blob)
        assert calm.update(state, given_event, clock) == moved.update(other, given_event, clock)
        assert calm.deadline(state) == moved.deadline(other)
        assert calm.close(state, "u", clock) == moved.close(other, "u", clock)
        assert calm.features(state, newest) == moved.features(other, newest)
        blob = moved.encode(other)
        assert blob == calm.encode(state)
    assert calm.finish(state, "u") == moved.finish(moved.decode(blob), "u")
    assert calm.counts == moved.counts


@given(arrivals())
@settings(max_examples=60)
def test_features_are_those_of_a_rebuilt_session(log: Events) -> None:
    """Kept up to date or worked out from all events; and the tree knows the same."""
    stitcher = Stitcher(SETTINGS)
    state = stitcher.decode(b"")
    taken: Events = []
    newest = 0
    for event in log:
        newest = max(newest, event["event_time"])
        if not stitcher.update(state, from_dict(event), newest - TOLERANCE):
            continue
        taken.append(event)
        rebuilt = stitcher.decode(stitcher.encode(state))
        rebuilt.stale = True
        features = stitcher.features(state, newest)
        assert features == stitcher.features(rebuilt, newest)
        check_features(features, taken, newest, rebuilt.track)


def check_features(features: dict[str, Any], taken: Events, newest: int, track: Any) -> None:
    """What a tree of all events so far says of the last session."""
    # Something happens on each page that is open, so that the tree counts it up to now.
    touches = [
        {
            "event_id": f"touch{at}", "event_type": "touch", "user_id": "u", "event_time": newest,
            "page_instance": track.pages[at].instance,
        }
        for at in track.live
    ]  # fmt: skip
    record = stitch(taken, **DURATIONS)[-1]
    if record["end_reason"] == "explicit":
        assert features["session.pages"] == 0
        return
    assert features["session.pages"] == record["pages"]
    assert features["session.bounce"] == record["bounce"]
    touched = stitch(taken + touches, **DURATIONS)[-1]
    assert features["session.dwell_ms"] == sum(page["dwell_ms"] for page in tree_pages(touched))


@given(arrivals())
@settings(max_examples=60)
def test_no_deadline_is_missed(log: Events) -> None:
    """Before the deadline nothing can be closed; at the last one all is."""
    stitcher = Stitcher(SETTINGS)
    state = stitcher.decode(b"")
    newest = 0
    for event in log:
        newest = max(newest, event["event_time"])
        stitcher.update(state, from_dict(event), newest - TOLERANCE)
        deadline = stitcher.deadline(state)
        if deadline is not None:
            copy = stitcher.decode(stitcher.encode(state))
            assert stitcher.close(copy, "u", deadline - 1) == []
            stitcher.features(copy, newest)  # not stale any more: the deadline is exact
            exact = stitcher.deadline(copy)
            assert exact is not None
            assert exact >= deadline
            assert stitcher.close(copy, "u", exact)
    rounds = 0
    while (deadline := stitcher.deadline(state)) is not None:
        stitcher.close(state, "u", deadline)
        rounds += 1
        assert rounds <= 2 * len(log)


def _time(event: dict[str, Any]) -> int:
    time: int = event["event_time"]
    return time
