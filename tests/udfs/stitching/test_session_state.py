"""The state of a user: its bytes, its bounds, what goes beyond them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from udfs.errors import ConfigInvalid, InvalidEvent, StateIncompatible
from udfs.events.event import Event
from udfs.stitching import Caps, Settings, State, Stitcher, stitch
from udfs.stitching.settings import UNLIMITED

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "session_v1.hex"
LARGE = 1 << 20


def event(number: int, kind: str, time: int, **fields: Any) -> Event:
    """Give an event."""
    return Event(f"e{number}", kind, "u", time, **fields)


def filled(stitcher: Stitcher) -> State:
    """A session with a bit of everything: two sessions, events that are not kept, disorder."""
    state = stitcher.decode(b"")
    log = [
        event(1, "app_launch", 1_000, launch_id="L1"),
        event(2, "page_enter", 1_000, page_id="A", page_instance="A#1", source="native"),
        event(3, "session_end", 1_500),
        event(4, "page_enter", 2_000, page_id="B", page_instance="B#1", source="h5",
              from_page_instance="A#1", from_event_id="e2", scene_id="home"),
        *[event(number, "click", 2_000 + number, element_id="buy") for number in range(5, 12)],
        event(12, "page_leave", 3_000, page_instance="B#1"),
        event(13, "pay", 3_100),
    ]  # fmt: skip
    for each in log:
        assert stitcher.update(state, each)
    return state


SMALL = Settings.read(caps=Caps(behaviours=4))


def test_a_blob_of_version_1() -> None:
    """As an earlier release wrote it, to the byte; and what comes of it."""
    stitcher = Stitcher(SMALL)
    blob = bytes.fromhex(GOLDEN.read_text())
    state = filled(stitcher)
    assert stitcher.encode(state) == blob
    assert stitcher.decode(blob) == state
    one, other = stitcher.finish(stitcher.decode(blob), "u")
    assert (one["end_reason"], one["events"], one["pages"]) == ("explicit", 3, 1)
    assert (other["end_reason"], other["events"], other["pages"]) == ("eof", 10, 1)
    [page] = other["apps"][0]["scenes"][0]["pages"]
    assert len(page["behaviours"]) == 4
    assert page["dwell_ms"] == 1_000
    assert page["came_from"] == {"page_instance": "A#1", "event_id": "e2", "outside": True}


@pytest.mark.parametrize(
    ("blob", "words"),
    [(b"\x02\x90", "version 2.*release"), (b"\x01\xc1", "damaged"), (b"\x01\x91\xa1a", "damaged")],
)
def test_other_blobs_are_refused(blob: bytes, words: str) -> None:
    """With words that say what to do."""
    with pytest.raises(StateIncompatible, match=words):
        Stitcher().decode(blob)


def test_a_blob_that_was_cut() -> None:
    """Wherever."""
    blob = bytes.fromhex(GOLDEN.read_text())
    for end in range(1, len(blob)):
        with pytest.raises(StateIncompatible):
            Stitcher().decode(blob[:end])


def test_a_log_inside_a_blob_that_is_damaged() -> None:
    """Is told when it is read."""
    stitcher = Stitcher(SMALL)
    state = filled(stitcher)
    state.log[:] = b"\xc1" * len(state.log)
    with pytest.raises(StateIncompatible, match="damaged"):
        stitcher.finish(state, "u")


def test_nothing_is_no_bytes() -> None:
    """Before the first event and after the last session."""
    stitcher = Stitcher()
    state = stitcher.decode(b"")
    assert stitcher.encode(state) == b""
    assert stitcher.deadline(state) is None
    assert stitcher.close(state, "u", 2**62) == []
    assert stitcher.finish(state, "u") == []
    stitcher.update(state, event(1, "click", 5))
    assert stitcher.close(state, "u", 5 + 1_800_000) == []
    assert len(stitcher.close(state, "u", 5 + 1_800_001)) == 1
    assert stitcher.encode(state) == b""


def test_late_events_are_dropped() -> None:
    """Older than the firing clock, or than a session that is closed."""
    stitcher = Stitcher(Settings.read(gap="10ms"))
    state = stitcher.decode(b"")
    assert stitcher.update(state, event(1, "click", 100), clock=50)
    assert not stitcher.update(state, event(2, "click", 49), clock=50)
    assert stitcher.update(state, event(3, "click", 50), clock=50)
    assert stitcher.update(state, event(4, "click", 130), clock=120)
    assert [one["events"] for one in stitcher.close(state, "u", 120)] == [1, 1]
    assert not stitcher.update(state, event(5, "click", 99))
    assert stitcher.counts.late == 2
    assert stitcher.counts.disordered == 1


def test_a_session_of_100_000_events_is_bounded() -> None:
    """The state stays small; all events are counted; the page stays open to the last one."""
    stitcher = Stitcher()
    state = stitcher.decode(b"")
    stitcher.update(state, event(0, "page_enter", 0, page_id="A", page_instance="A#1"))
    largest = 0
    for number in range(1, 100_000):
        stitcher.update(state, event(number, "click", number * 100, page_instance="A#1"))
        if number % 1_000 == 0:
            largest = max(largest, len(stitcher.encode(state)))
    assert largest < 100_000
    assert stitcher.counts.beyond_behaviours == 99_999 - 100
    [record] = stitcher.finish(state, "u")
    assert (record["events"], record["end"]) == (100_000, 9_999_900)
    [page] = record["apps"][0]["scenes"][0]["pages"]
    assert len(page["behaviours"]) == 100
    assert page["dwell_ms"] == 9_999_900


@pytest.mark.parametrize("order", ["by time", "out of order"])
def test_a_session_of_many_pages_is_bounded(order: str) -> None:
    """In order and out of order; `events` counts what was taken."""
    stitcher = Stitcher()
    state = stitcher.decode(b"")
    taken = 0
    for number in range(6_000):
        time = 1_000 + number * 100
        if order == "out of order" and number % 2:
            time -= 150
        fields = {"page_id": f"P{number}", "page_instance": f"P{number}#1"}
        taken += stitcher.update(state, event(number, "page_enter", time, **fields))
    counts = stitcher.counts
    assert taken == counts.events == 6_000 - counts.dropped
    assert len(stitcher.encode(state)) < 250_000
    [record] = stitcher.finish(state, "u")
    assert record["events"] == taken
    assert record["pages"] == 200
    if order == "by time":
        assert counts.beyond_pages + counts.beyond_events == 5_800


def test_sessions_that_wait_are_bounded() -> None:
    """A flood of explicit ends inside the tolerance."""
    stitcher = Stitcher(Settings.read(caps=Caps(events=20)))
    state = stitcher.decode(b"")
    for number in range(1_000):
        stitcher.update(state, event(number, "session_end", number))
    assert stitcher.counts.dropped == 1_000 - 80
    assert len(stitcher.encode(state)) < 2_000
    assert len(stitcher.close(state, "u", 2_000)) == 80


def test_texts_of_a_megabyte_are_cut() -> None:
    """Different ones stay different, equal ones equal."""
    stitcher = Stitcher()
    state = stitcher.decode(b"")
    one, other = "x" * LARGE, "x" * LARGE + "y"
    for number, instance in enumerate([one, other, one, other]):
        kind = "page_enter" if number < 2 else "click"
        huge = {"page_id": one, "element_id": other, "launch_id": one, "scene_id": one}
        stitcher.update(state, event(number, kind, number, page_instance=instance, **huge))
    late = event(9, "click", 1, page_instance=one, from_event_id=one)
    stitcher.update(state, late)
    assert len(stitcher.encode(state)) < 10_000
    assert stitcher.counts.cut == 5
    [record] = stitcher.finish(state, "u")
    found = record["apps"][0]["scenes"][0]["pages"]
    assert [len(page["behaviours"]) for page in found] == [2, 1]
    assert all(len(page["page_instance"]) == 256 for page in found)


def test_a_list_is_not_cut() -> None:
    """`stitch` has no caps, and a megabyte is one."""
    fields = {"user_id": "u", "page_id": "A", "page_instance": "x" * LARGE}
    log = [{"event_id": "e", "event_type": "page_enter", "event_time": 0} | fields]
    log += [
        {"event_id": str(number), "event_type": "click", "event_time": number, "user_id": "u"}
        for number in range(20_000)
    ]
    [record] = stitch(log)
    [page] = record["apps"][0]["scenes"][0]["pages"]
    assert page["page_instance"] == "x" * LARGE
    assert len(page["behaviours"]) == 20_000


def test_a_list_of_many_pages() -> None:
    """Takes no time that grows with the square."""
    log = [
        {"event_id": str(number), "event_type": kind, "event_time": number, "user_id": "u",
         "page_id": f"P{number // 2}"}
        for number, kind in enumerate(["page_enter", "click"] * 20_000)
    ]  # fmt: skip
    [record] = stitch(log)
    assert record["pages"] == 20_000


def test_a_bad_event_is_told_with_its_place() -> None:
    """As by `aggregate`."""
    good = {"event_id": "1", "event_type": "click", "user_id": "u", "event_time": 5}
    with pytest.raises(InvalidEvent, match=r"events\[1\].event_time"):
        stitch([good, good | {"event_time": "5"}])
    with pytest.raises(InvalidEvent, match=r"missing_field at events\[0\]"):
        stitch([{"event_id": "1"}])


def test_all_faults_of_the_settings_are_told() -> None:
    """At once, each with its cure."""
    with pytest.raises(ConfigInvalid) as caught:
        Settings.read("0s", "soon", Caps(pages=0, text=UNLIMITED + 1), path=0)
    faults = caught.value.faults
    assert [fault.where for fault in faults] == [
        "gap", "max_length", "caps.pages", "caps.text", "path",
    ]  # fmt: skip
    with pytest.raises(ConfigInvalid, match="gap: 5 is not a duration"):
        stitch([], gap=5)  # type: ignore[arg-type]
