"""Reads ``suite.txt``: sessions by hand, with their events."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

USER = "ann"
TEXT = Path(__file__).with_name("suite.txt")

_FIELDS = {
    "launch": "launch_id", "scene": "scene_id", "instance": "page_instance", "source": "source",
    "from": "from_page_instance", "by": "from_event_id", "element": "element_id", "id": "event_id",
}  # fmt: skip


class Case(NamedTuple):
    """One of them.

    Args:
        name: What it is about.
        words: What it shows.
        lines: Its events as they are written.
        options: Of `stitch`.
        events: In order of arrival.
        sessions: The records.
    """

    name: str
    words: str
    lines: str
    options: dict[str, str]
    events: list[dict[str, Any]]
    sessions: list[dict[str, Any]]


def cases() -> list[Case]:
    """Give all."""
    text = TEXT.read_text(encoding="utf-8").partition("\n==")[2]
    return [_case(part) for part in text.split("\n==")]


def ms(seconds: str) -> int:
    """Give milliseconds."""
    return round(float(seconds) * 1000)


def _case(text: str) -> Case:
    title, options, lines, sessions = re.fullmatch(
        r" (.*?)\n-- events(.*?)\n(.*?)\n-- sessions\n(.*)", text, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    name, words = title.split("\n")
    events = [_event(line, i) for i, line in enumerate(lines.split("\n"), 1)]
    given = dict(word.split("=") for word in options.split())
    return Case(name, words, lines, given, events, _sessions(sessions))


def _event(line: str, number: int) -> dict[str, Any]:
    time, kind, *words = line.split()
    event = {"event_id": f"e{number}", "event_type": kind, "user_id": USER, "event_time": ms(time)}
    for word in words:
        key, _, value = word.partition("=")
        if key == "page":
            event["page_id"] = value.partition("#")[0]
            if "#" in value:
                event["page_instance"] = value
        else:
            event[_FIELDS[key]] = value
    return event


def _sessions(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in filter(None, text.split("\n")):
        kind, *words = line.split()
        if kind == "session":
            found.append(_session(words))
        elif kind == "app":
            found[-1]["apps"].append(_level("launch_id", "scenes", words))
        elif kind == "scene":
            found[-1]["apps"][-1]["scenes"].append(_level("scene_id", "pages", words))
        elif kind == "page":
            found[-1]["apps"][-1]["scenes"][-1]["pages"].append(_page(words))
        else:
            _detail(found[-1]["apps"][-1]["scenes"][-1]["pages"][-1], kind, words)
    return found


def _session(words: list[str]) -> dict[str, Any]:
    (start, end), reason = _span(words[0]), words[1]
    facts = dict(word.split("=") for word in words[2:] if "=" in word)
    first = facts.get("first", "e1")
    return {
        "session_id": hashlib.sha256(USER.encode() + first.encode()).digest()[:16].hex(),
        "user_id": USER,
        "start": start,
        "end": end,
        "end_reason": reason,
        "events": int(facts["events"]),
        "pages": int(facts["pages"]),
        "bounce": "bounce" in words,
        "apps": [],
    }


def _level(name: str, children: str, words: list[str]) -> dict[str, Any]:
    start, end = _span(words[1])
    return {
        name: _or_none(words[0]), "start": start, "end": end, "implied": "implied" in words,
        children: [],
    }  # fmt: skip


def _page(words: list[str]) -> dict[str, Any]:
    enter, leave = _span(words[3])
    return {
        "page_id": _or_none(words[0]),
        "page_instance": words[1],
        "source": _or_none(words[2]),
        "enter": enter,
        "leave": leave,
        "dwell_ms": ms(words[4].removeprefix("dwell=")),
        "dwell_from": words[5],
        "implied": "implied" in words,
        "came_from": None,
        "went_to": [],
        "behaviours": [],
    }


def _detail(page: dict[str, Any], kind: str, words: list[str]) -> None:
    if kind in "<>":
        reference: dict[str, Any] = {
            "page_instance": _or_none(words[0]), "event_id": _or_none(words[1]),
        }  # fmt: skip
        if "outside" in words:
            reference["outside"] = True
        if kind == "<":
            page["came_from"] = reference
        else:
            page["went_to"].append(reference)
        return
    page["behaviours"].append(
        {
            "event_id": kind,
            "event_type": words[0],
            "event_time": ms(words[1]),
            "element_id": words[2] if len(words) > 2 else None,
        }
    )


def _span(text: str) -> tuple[int, int]:
    start, end = text.split("-")
    return ms(start), ms(end)


def _or_none(text: str) -> str | None:
    return None if text == "-" else text
