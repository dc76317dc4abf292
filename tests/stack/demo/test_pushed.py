"""What the config server tells of a push."""

from __future__ import annotations

import json
from typing import Any

from stack.demo.pushed import Pushed, read_release


def release(**manifest: Any) -> dict[str, Any]:
    """A release as Apollo's admin service gives it."""
    content = json.dumps({"schema": 1, **manifest})
    return {
        "configurations": json.dumps({"content": content}),
        "dataChangeCreatedTime": "2026-11-23T08:24:10.250+0000",
    }


def test_what_a_revision_points_to() -> None:
    """Releases and versions by name, and when it was published."""
    found = read_release(
        release(
            revision=7,
            features=[{"table": "user", "release": 2}, {"table": "item", "release": 1}],
            models=[{"model": "ctr_small", "version": 3}],
        ),
        "a table",
    )
    assert found == Pushed(
        7, 1_795_422_250_250, {"user": 2, "item": 1}, {"ctr_small": 3}, "a table"
    )


def test_a_revision_without_pointers() -> None:
    """Has rules and flows only."""
    found = read_release(release(revision=1))
    assert (found.tables, found.models) == ({}, {})
