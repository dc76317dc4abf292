"""Every function over every window, for the tests of aggregates."""

from __future__ import annotations

from typing import Any

FUNCTIONS = (
    "count", "sum", "avg", "min", "max", "variance", "stddev", "skew", "kurtosis", "first", "last",
    "first_k", "last_k", "sequence", "top_k", "bottom_k", "unique_count", "unique_k",
    "approx_unique_count", "approx_percentile", "histogram",
)  # fmt: skip
WINDOWS: tuple[Any, ...] = (
    "lifetime",
    {"sliding": "20ms"},
    {"sliding": "7ms"},
    {"sliding": "20ms", "hop": "5ms"},
    {"tumbling": "10ms"},
    {"session": "4ms"},
    {"last": 3},
)
K = {"first_k", "last_k", "sequence", "top_k", "bottom_k", "unique_k"}
BY_GROUP = {"count", "sum", "max", "unique_k", "first"}


def spec(name: str, function: str, window: Any, **more: Any) -> dict[str, Any]:
    """Make a spec, with the parameters that its function needs."""
    made = {"aggregate": name, "function": function, "window": window, "value": "props.v", **more}
    if function in K:
        made.setdefault("k", 3)
    if function == "approx_percentile":
        made.setdefault("q", [0.0, 0.5, 0.9, 1.0])
    return made


def all_specs() -> list[dict[str, Any]]:
    """Every function over every window; some with conditions, types and groups."""
    made = []
    for function in FUNCTIONS:
        for i, window in enumerate(WINDOWS):
            name = f"{function}_{i}"
            made.append(spec(name, function, window))
            made.append(spec(f"{name}_w", function, window, where="props.w", event=["a", "b"]))
            if function in BY_GROUP:
                made.append(spec(f"{name}_g", function, window, group_by="props.g", event="a"))
    made.append(spec("histogram_top", "histogram", {"sliding": "20ms"}, k=2))
    for i, window in enumerate(WINDOWS):
        events = spec(f"events_{i}", "count", window)
        del events["value"]
        made.append(events)
    return made
