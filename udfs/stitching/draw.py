"""Sessions drawn as trees on a terminal."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree

from udfs.stitching.wording import DWELLS, ENDINGS, arrow, lasting, page_name, shown
from udfs.terminal.console import many
from udfs.terminal.wording import clock


def tree(record: dict[str, Any]) -> Tree:
    """Draw a session.

    Times are those since its start. ``<-`` tells where a page came from, ``->`` where it went to.

    Args:
        record: As in ``session.schema.json``.
    """
    start = record["start"]
    title = Text(f"session {record['session_id']} of {shown(record['user_id'])}", style="bold")
    reason = record["end_reason"]
    counts = [
        many(record["events"], "event"),
        many(record["pages"], "page"),
        lasting(record["end"] - start),
        f"ended by {reason}: {ENDINGS[reason]}",
    ]
    if record["bounce"]:
        counts.append("bounce")
    title.append(f"\n{clock(start)} UTC, {', '.join(counts)}", style="not bold")
    root = Tree(title, guide_style="dim")
    for app in record["apps"]:
        below = root.add(_level("app", app["launch_id"], app, start))
        for scene in app["scenes"]:
            inner = below.add(_level("scene", scene["scene_id"], scene, start))
            for page in scene["pages"]:
                _add_page(inner, page, start)
    return root


def _level(kind: str, name: str | None, level: dict[str, Any], start: int) -> Text:
    text = Text(f"{kind} ", style="dim").append(shown(name), style="bold not dim")
    text.append(f"  {_span(level['start'], level['end'], start)}", style="not dim")
    return text.append("  implied" if level["implied"] else "", style="italic")


def _add_page(below: Tree, page: dict[str, Any], start: int) -> None:
    title = Text("page ", style="dim").append(page_name(page), style="bold cyan not dim")
    title.append(
        f"  {shown(page['source'])}  {_span(page['enter'], page['leave'], start)}  "
        f"dwell {lasting(page['dwell_ms'])} {DWELLS[page['dwell_from']]}",
        style="not dim",
    )
    title.append("  implied" if page["implied"] else "", style="italic")
    node = below.add(title)
    if page["came_from"]:
        node.add(Text(f"<- {arrow(page['came_from'])}", style="green"))
    for event in page["behaviours"]:
        text = Text(f"{_at(event['event_time'], start)}  {shown(event['event_type'])}")
        if event["element_id"] is not None:
            text.append(f" {shown(event['element_id'])}")
        node.add(text.append(f"  {shown(event['event_id'])}", style="dim"))
    for reference in page["went_to"]:
        node.add(Text(f"-> {arrow(reference)}", style="yellow"))


def _span(start: int, end: int, origin: int) -> str:
    return f"{_at(start, origin)} \u2013 {_at(end, origin)}"


def _at(time: int, origin: int) -> str:
    """Give a time since the start.

    >>> _at(61_500, 0), _at(7_260_000, 0)
    ('1:01.5', '2:01:00')
    """
    seconds, millis = divmod(time - origin, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{millis:03}".rstrip("0") if millis else text
