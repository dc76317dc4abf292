"""Durations of configs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.events.durations import MAX_MS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("30m", 1_800_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
        ("36500d", MAX_MS),
    ],
)
def test_units(text: str, duration_ms: int) -> None:
    """Each unit."""
    assert parse_duration(text) == duration_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "s",
        "1.5h",
        "-1s",
        "0s",
        " 1s",
        "1s\n",
        "1 s",
        "1w",
        "\u0661s",
        "36501d",
        "9" * 40 + "s",
        10,
        None,
    ],
)
def test_what_is_no_duration(text: object) -> None:
    """Everything else is refused, with what to write."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(1, MAX_MS))
def test_round_trip(duration_ms: int) -> None:
    """What is written is read back."""
    assert parse_duration(format_duration(duration_ms)) == duration_ms
