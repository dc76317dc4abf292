"""Tumbling windows in time zones, and what sessions do with late events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.aggregation.brute import tumbling_start
from udfs.aggregation import aggregate
from udfs.aggregation.windows.tumbling import Calendar
from udfs.events.durations import parse_duration

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "America/Havana",
         "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")  # fmt: skip
LENGTHS = ("15m", "1h", "6h", "1d", "3d", "36500d", "week", "month")


def ms(text: str, zone: str) -> int:
    """Read a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def local(time: int, zone: str) -> str:
    """Write a time as the clock on the wall."""
    return f"{datetime.fromtimestamp(time / 1000, UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def calendar(length: str, zone: str) -> Calendar:
    """Make a calendar."""
    return Calendar(length if length in {"week", "month"} else parse_duration(length), zone)


@pytest.mark.parametrize(
    ("length", "zone", "at", "start", "end"),
    [
        ("1d", "Europe/Berlin", "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-30 00:00"),
        ("6h", "Europe/Berlin", "2026-03-29 12:30", "2026-03-29 07:00", "2026-03-29 13:00"),
        ("6h", "Europe/Berlin", "2026-03-29 23:30", "2026-03-29 19:00", "2026-03-30 00:00"),
        ("6h", "Europe/Berlin", "2026-10-25 23:30", "2026-10-25 23:00", "2026-10-26 00:00"),
        ("1d", "America/Sao_Paulo", "2018-11-04 12:00", "2018-11-04 01:00", "2018-11-05 00:00"),
        ("1d", "America/Havana", "2026-11-01 12:00", "2026-11-01 00:00", "2026-11-02 00:00"),
        ("week", "Asia/Kathmandu", "2026-11-22 23:59", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("month", "Europe/Berlin", "2024-02-29 23:59", "2024-02-01 00:00", "2024-03-01 00:00"),
        ("3d", "UTC", "1970-01-05 00:00", "1970-01-04 00:00", "1970-01-07 00:00"),
        ("1d", "Pacific/Apia", "2011-12-31 12:00", "2011-12-31 00:00", "2012-01-01 00:00"),
    ],
)
def test_local_days(length: str, zone: str, at: str, start: str, end: str) -> None:
    """Days of 23 and 25 hours, days without a midnight, a day that never was."""
    found = calendar(length, zone).window(ms(at, zone))
    assert (local(found[0], zone), local(found[1], zone)) == (start, end)


@given(st.integers(10**8, 4_000_000_000_000), st.sampled_from(ZONES), st.sampled_from(LENGTHS))
def test_windows_are_those_of_the_definition(time: int, zone: str, length: str) -> None:
    """And they lie side by side."""
    found = calendar(length, zone)
    start, end = found.window(time)
    assert start <= time < end
    assert start == tumbling_start({"tumbling": length, "timezone": zone}, time)
    assert found.window(start) == (start, end) == found.window(end - 1)
    assert found.window(end)[0] == end
    if start > 0:
        assert found.window(start - 1)[1] == start


@pytest.mark.parametrize("length", LENGTHS)
def test_the_end_of_the_calendar(length: str) -> None:
    """Times that no calendar has are windows all the same."""
    found = calendar(length, "Europe/Berlin")
    for time in (253_370_764_799_999, 253_370_764_800_000, 2**62, 2**63 - 1):
        start, end = found.window(time)
        assert start <= time < end


def events(*times: int, **props: Any) -> list[dict[str, Any]]:
    """Make events of one user."""
    return [
        {"event_id": str(i), "event_type": "a", "user_id": "u", "event_time": t, "props": props}
        for i, t in enumerate(times)
    ]


def test_a_late_event_joins_chains() -> None:
    """Two sessions are one when what lay between them turns up."""
    spec = {"aggregate": "n", "function": "count", "window": {"session": "10ms"}}
    assert aggregate([spec], events(0, 10, 25, 30)) == {"u": {"n": 2}}
    assert aggregate([spec], events(0, 10, 25, 30, 17)) == {"u": {"n": 5}}
    assert aggregate([spec], events(0, 10), at=20) == {"u": {"n": 2}}
    assert aggregate([spec], events(0, 10), at=21) == {"u": {"n": 0}}
