"""Events for properties: pages that come and go in every order, on few ids."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KINDS = (
    ["page_enter"] * 5 + ["page_leave"] * 4 + ["click"] * 5
    + ["app_launch", "scene_enter", "session_end", "pay"]
)  # fmt: skip
INSTANCES = ["A#1", "A#2", "B#1", "C#1", "D#1"]

GAP, MAX_LENGTH, TOLERANCE = 50, 150, 20
"""Milliseconds."""

DURATIONS = {"gap": f"{GAP}ms", "max_length": f"{MAX_LENGTH}ms"}


@st.composite
def events(draw: st.DrawFn, *, ties: bool = True, most: int = 40) -> list[dict[str, Any]]:
    """Events of one user by time."""
    time = 1_000
    found: list[dict[str, Any]] = []
    steps = st.sampled_from(([0, 0] if ties else []) + [1, 2, 5, 9, 9, 49, 50, 51, 60])
    for number in range(draw(st.integers(0, most))):
        time += draw(steps)
        event = {
            "event_id": f"e{number}", "event_type": draw(st.sampled_from(KINDS)), "user_id": "u",
            "event_time": time,
        }  # fmt: skip
        instance = draw(st.sampled_from([None, None, *INSTANCES, *INSTANCES]))
        optional = {
            "page_instance": instance,
            "page_id": draw(st.sampled_from([None, None, "A", "B", instance and instance[0]])),
            "source": draw(st.sampled_from([None, "native", "native", "h5", "miniprogram"])),
            "launch_id": draw(st.sampled_from([None, None, None, "L1", "L2"])),
            "scene_id": draw(st.sampled_from([None, None, None, "S1", "S2"])),
            "from_page_instance": draw(st.sampled_from([None, None, *INSTANCES, "Z#1"])),
            "from_event_id": draw(
                st.sampled_from([None, None, "z"]) | st.integers(0, number).map("e{}".format)
            ),
            "element_id": draw(st.sampled_from([None, "x"])),
        }  # fmt: skip
        found.append(event | {name: value for name, value in optional.items() if value})
    return found


@st.composite
def arrivals(draw: st.DrawFn, most: int = 40) -> list[dict[str, Any]]:
    """The same in an order of arrival, none later than the tolerance; some come twice."""
    given = draw(events(ties=False, most=most))
    late = [(event["event_time"] + draw(st.integers(0, TOLERANCE)), event) for event in given]
    late += [
        (event["event_time"] + draw(st.integers(0, TOLERANCE)), dict(event))
        for event in given
        if draw(st.integers(0, 5)) == 0
    ]
    late.sort(key=lambda pair: pair[0])
    return [event for _, event in late]
