"""A real web server's log through ``examples/apache_log.py``, against a count by brute force."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from stack import Stack
from tests.e2e.running import Running

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "apache_log.py"
LOG = ROOT.parent / "shared" / "data" / "apache_combined.log"
REQUESTS = 10_000
WITHIN_MS = 600_000
LAST_TIME = "20/May/2015:23:59:59 +0000"  # later than all, so that none is held back for long


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("apache_log", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _brute_force(lines: list[str]) -> list[tuple[str, int, list[str]]]:
    """Give (client, time of the fifth, the five events) with a list of times per client."""
    refused = defaultdict(list)
    for event in _example().events(lines):
        if 400 <= event["props"]["status"] < 500:
            number = int(event["event_id"].removeprefix("line-"))
            refused[event["user_id"]].append((event["event_time"], number, event["event_id"]))
    found = []
    for client, answers in refused.items():
        taken: list[tuple[int, int, str]] = []
        for answer in sorted(answers):
            taken = [one for one in taken if answer[0] - one[0] < WITHIN_MS] + [answer]
            if len(taken) == 5:
                found.append((client, answer[0], [one[2] for one in taken]))
                taken = []
    return sorted(found)


def test_lines_become_events() -> None:
    """Status, path and bytes are found; what is no request gives nothing."""
    line = r'10.0.0.1 - - [17/May/2015:10:05:03 +0200] "GET /a?q=\"x\" HTTP/1.1" 404 - "-" "curl/7"'
    event = _example().to_event(line, 3)
    assert event == {
        "event_id": "line-3", "event_type": "request", "user_id": "10.0.0.1",
        "event_time": 1_431_849_903_000, "source": "server",
        "props": {"status": 404, "method": "GET", "path": r"/a?q=\"x\"", "bytes": 0,
                  "agent": "curl/7"},
    }  # fmt: skip
    assert _example().to_event("no request at all", 4) is None


@pytest.mark.e2e
@pytest.mark.skipif(not LOG.exists(), reason=f"{LOG} is not here; the project ships no data")
def test_matches_equal_brute_force(stack: Stack, tmp_path: Path) -> None:
    """Five 4xx answers of one client within 10 minutes, then start anew."""
    lines = LOG.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    assert len(lines) == REQUESTS
    clients = sorted({line.split(" ", 1)[0] for line in lines})
    lines += [f'{client} - - [{LAST_TIME}] "GET / HTTP/1.1" 200 1' for client in clients]
    file = tmp_path / "access.log"
    file.write_text("\n".join(lines) + "\n")
    with Running(
        stack, "apache", ordering="event_time", out_of_orderness="120s", idle_advance="off"
    ) as job:
        job.publish((ROOT / "examples" / "apache_rules.json").read_text())
        told = subprocess.run(
            [sys.executable, str(EXAMPLE), str(file), "--bootstrap", stack.kafka_bootstrap,
             "--topic", job.settings.events_topic],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert f"{len(lines)} events sent" in told.stdout
        job.start()
        counts = job.await_in(len(lines))
        decisions = job.decisions()
    assert (counts["late"], counts["dead"], counts["doubled"]) == (0, 0, 0)
    paths = {event["event_id"]: event["props"]["path"] for event in _example().events(lines)}
    found = sorted((d["user_id"], d["at"], d["trigger"]["event_ids"]) for d in decisions)
    wanted = _brute_force(lines)
    assert wanted, "the log holds such clients"
    assert found == wanted, json.dumps(found[:3])
    assert all(
        d["payload"] == {"last_path": paths[d["trigger"]["event_ids"][-1]]} for d in decisions
    )
