"""The pages of a session as a flat list, for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pages(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the pages of a session, by enter.

    Each has the keys that it has in the tree, the number of its behaviours in the place of the
    list, the ids of its session, user, launch and scene, and ``position``, from 1.

    Args:
        record: Of a session, as in ``session.schema.json``.

    Returns:
        As in ``page.schema.json``.
    """
    found = [
        {
            "session_id": record["session_id"],
            "user_id": record["user_id"],
            "launch_id": app["launch_id"],
            "scene_id": scene["scene_id"],
            **page,
            "behaviours": len(page["behaviours"]),
        }
        for app in record["apps"]
        for scene in app["scenes"]
        for page in scene["pages"]
    ]
    found.sort(key=_enter)
    return [{"position": position, **page} for position, page in enumerate(found, 1)]


def _enter(page: Mapping[str, Any]) -> int:
    enter: int = page["enter"]
    return enter
