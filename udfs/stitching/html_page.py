"""Sessions drawn as one HTML page that needs nothing else: no script, no font, no picture.

Whatever users' events say is escaped; the page's policy lets nothing load and nothing run, and
only its own style sheet apply.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from udfs.stitching.wording import DWELLS, ENDINGS, arrow, lasting, shown
from udfs.terminal.console import many
from udfs.terminal.wording import clock, printable

_WIDTH: Final = 1_000
_THINNEST: Final = 4
"""A stay of no length is drawn so wide, in thousandths of the session."""

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6b7d; --line: #d5dbe3;
  --paper: #f6f7f9; --card: #fff; --bar: #3572b0; --from: #1d7a46; --to: #a35a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa7b8; --line: #38424f;
  --paper: #14181e; --card: #1c222b; --bar: #6ea8e0; --from: #6cc795; --to: #e0a457; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
h2 { font-size: 1rem; margin: 0; font-family: ui-monospace, monospace; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 0 0 1.25rem; }
section > p { margin: 0 0 .5rem; }
p, small, .soft { color: var(--soft); }
ul { list-style: none; margin: 0; padding: 0 0 0 1.1rem; border-left: 1px solid var(--line); }
section > ul { padding-left: 0; border-left: 0; }
li { padding: .15rem 0; }
li.page { padding: .4rem 0; }
li.page:target > .name { outline: 2px solid var(--bar); outline-offset: 3px; }
.kind { color: var(--soft); font-size: .8em; text-transform: uppercase; letter-spacing: .05em;
  margin-right: .4em; }
.name { font-weight: 600; }
.tag { border: 1px solid var(--line); border-radius: 9px; padding: 0 .5em; font-size: .8em;
  color: var(--soft); margin-left: .4em; }
.from { color: var(--from); }
.to { color: var(--to); }
a { color: inherit; }
svg { display: block; width: 100%; height: 8px; margin: .2rem 0; }
svg .whole { fill: var(--line); }
svg .stay { fill: var(--bar); }
time { font-variant-numeric: tabular-nums; }
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
)
"""Content-Security-Policy of the page."""


def page(records: Sequence[dict[str, Any]], title: str) -> str:
    """Give the page.

    Args:
        records: As in ``session.schema.json``.
        title: Of the page, as it is.
    """
    body = "".join(part for i, record in enumerate(records) for part in _session(record, i))
    name = _text(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{name}</h1>\n{body}</body>\n</html>\n"
    )


def _session(record: dict[str, Any], number: int) -> Iterator[str]:
    facts = [
        f"{clock(record['start'])} UTC", lasting(record["end"] - record["start"]),
        many(record["events"], "event"), many(record["pages"], "page"),
        f"ended by {record['end_reason']}: {ENDINGS[record['end_reason']]}",
    ]  # fmt: skip
    if record["bounce"]:
        facts.append("bounce")
    yield f"<section>\n<h2>{_text(record['session_id'])}</h2>\n<p>{_text(', '.join(facts))}</p>\n"
    anchors = _anchors(record, number)
    yield "<ul>\n"
    for app in record["apps"]:
        yield f"<li>{_level('app', app['launch_id'], app)}\n<ul>\n"
        for scene in app["scenes"]:
            yield f"<li>{_level('scene', scene['scene_id'], scene)}\n<ul>\n"
            for each in scene["pages"]:
                yield from _page(each, record, anchors)
            yield "</ul>\n</li>\n"
        yield "</ul>\n</li>\n"
    yield "</ul>\n</section>\n"


def _anchors(record: dict[str, Any], number: int) -> dict[str, str]:
    """Give each page of a session an address inside the HTML page."""
    instances = [
        page["page_instance"]
        for app in record["apps"]
        for scene in app["scenes"]
        for page in scene["pages"]
    ]
    return {instance: f"s{number}p{i}" for i, instance in enumerate(instances)}


def _level(kind: str, name: str | None, level: dict[str, Any]) -> str:
    tag = '<span class="tag">implied</span>' if level["implied"] else ""
    length = lasting(level["end"] - level["start"])
    return (
        f'<span class="kind">{kind}</span><span class="name">{_text(shown(name))}</span>{tag} '
        f'<span class="soft">{length}</span>'
    )


def _page(page: dict[str, Any], record: dict[str, Any], anchors: dict[str, str]) -> Iterator[str]:
    tags = [page["source"]] if page["source"] else []
    tags += ["implied"] if page["implied"] else []
    yield (
        f'<li class="page" id="{anchors[page["page_instance"]]}"><span class="kind">page</span>'
        f'<span class="name">{_text(shown(page["page_id"]))}</span> '
        f"<small>{_text(shown(page['page_instance']))}</small>"
        + "".join(f'<span class="tag">{_text(shown(tag))}</span>' for tag in tags)
        + f' <span class="soft">{_time(page["enter"], record)} dwell {lasting(page["dwell_ms"])} '
        f"{DWELLS[page['dwell_from']]}</span>\n{_bar(page, record)}\n"
    )
    lines = []
    if page["came_from"]:
        lines.append(_arrow("from", "\u2190 came from", page["came_from"], anchors))
    for event in page["behaviours"]:
        element = "" if event["element_id"] is None else f" {shown(event['element_id'])}"
        text = _text(shown(event["event_type"]) + element)
        event_id = _text(shown(event["event_id"]))
        lines.append(f"<li>{_time(event['event_time'], record)} {text} <small>{event_id}</small>")
    lines += [_arrow("to", "\u2192 went to", one, anchors) for one in page["went_to"]]
    if lines:
        yield "<ul>\n" + "</li>\n".join(lines) + "</li>\n</ul>\n"
    yield "</li>\n"


def _arrow(kind: str, words: str, reference: dict[str, Any], anchors: dict[str, str]) -> str:
    text = _text(arrow(reference))
    anchor = None if reference.get("outside") else anchors.get(reference["page_instance"])
    return f'<li class="{kind}">{words} ' + (f'<a href="#{anchor}">{text}</a>' if anchor else text)


def _bar(page: dict[str, Any], record: dict[str, Any]) -> str:
    """Draw when a page was there, in the session."""
    length = max(record["end"] - record["start"], 1)
    left = (page["enter"] - record["start"]) * _WIDTH // length
    width = max((page["leave"] - page["enter"]) * _WIDTH // length, _THINNEST)
    left = min(left, _WIDTH - _THINNEST)
    return (
        f'<svg viewBox="0 0 {_WIDTH} 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="whole" y="3" width="{_WIDTH}" height="2"/>'
        f'<rect class="stay" x="{left}" width="{width}" height="8"/></svg>'
    )


def _time(time: int, record: dict[str, Any]) -> str:
    return f"<time>+{lasting(time - record['start'])}</time>"


def _text(text: str) -> str:
    return escape(printable(text))
