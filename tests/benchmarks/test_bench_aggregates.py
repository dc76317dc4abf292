"""The benchmark of aggregates is about what it says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from benchmarks import aggregates, aggregation
from benchmarks.aggregate_workload import SERIES, Series, Traffic, specs
from udfs.aggregation import Plan


@pytest.mark.parametrize("series", SERIES, ids=lambda one: one.name)
@pytest.mark.parametrize("count", [1, 10, 100, 1_000])
def test_the_workload(series: Series, count: int) -> None:
    """So many specs, names of their own, as many concerned and holding as the series says."""
    made = specs(count, series)
    assert len({one["aggregate"] for one in made}) == count
    plan = Plan.compile(made)
    events = list(Traffic(5, 36.0, types=series.types_of(count)).events(2_000))
    concerned = holding = 0
    for event in events:
        for spec, one in zip(made, plan.specs, strict=True):
            if spec["event"] == event.event_type:
                assert one.where is not None
                concerned += 1
                holding += one.where.test(event, None, None)
    assert concerned / len(events) == pytest.approx(count / series.types_of(count), rel=0.25)
    if count >= 100:
        assert holding / concerned == pytest.approx(series.holding, abs=0.03)


def test_a_small_run_prints_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables have all rows, the charts are SVG with all lines."""
    monkeypatch.setattr(aggregation, "SIZES", (1, 10))
    console = Console(record=True, width=150)
    options: Any = argparse.Namespace(quick=True, users=5, rounds=1, plots=str(tmp_path))
    found = aggregates.run(console, options)
    assert [(one.series, one.specs) for one in found.speeds] == [
        (series.name, count) for series in SERIES for count in (1, 10)
    ]
    text = console.export_text()
    assert all(series.name in text for series in SERIES)
    for name, lines in (("aggregates_by_specs", 3), ("aggregates_by_events", 3)):
        drawn = ET.parse(tmp_path / f"{name}.svg").getroot()
        assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == lines
