"""What was pushed: a revision, and the releases and versions that it points to. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_TIME: Final = "%Y-%m-%dT%H:%M:%S.%f%z"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A revision that the config server gives out.

    Args:
        revision: Its number.
        published_ms: Since when, ms since the epoch.
        tables: Releases by table.
        models: Versions by model.
        what: What is new in it, in a few words.
    """

    revision: int
    published_ms: float
    tables: Mapping[str, int]
    models: Mapping[str, int]
    what: str = ""


def read_release(release: Mapping[str, Any], what: str = "") -> Pushed:
    """Read what the config server tells of its latest release.

    Args:
        release: Of the manifest, as Apollo's admin service gives it.
        what: What is new in it.
    """
    manifest = json.loads(json.loads(release["configurations"])["content"])
    return Pushed(
        manifest["revision"],
        _ms(release["dataChangeCreatedTime"]),
        {each["table"]: each["release"] for each in manifest.get("features", ())},
        {each["model"]: each["version"] for each in manifest.get("models", ())},
        what,
    )


def _ms(text: str) -> float:
    moment = datetime.strptime(text, _TIME)  # noqa: DTZ007 - it reads the zone
    return moment.timestamp() * 1_000


def in_words(tables: Mapping[str, int], models: Mapping[str, int]) -> str:
    """Give releases and versions.

    >>> in_words({"user": 2, "item": 1}, {"ctr": 1})
    'item@1 user@2 ctr@1'
    """
    named = [*sorted(tables.items()), *sorted(models.items())]
    return " ".join(f"{name}@{number}" for name, number in named)
