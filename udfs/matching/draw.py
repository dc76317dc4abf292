"""The graph of a machine as SVG: one file that needs no other, dark on light."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from udfs.matching.layout import CHARACTER, LINE, Label, Placed, columns, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from udfs.matching.graph import Graph

_MARGIN: Final = 20.0
_TITLE: Final = 34.0

_STYLE: Final = """\
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2328}
.title{font-weight:bold;font-size:14px}.note,.legend{fill:#57606a}
.take{stroke:#1a5fb4;stroke-width:2}.ignore{stroke:#6e7781;stroke-width:1.2;stroke-dasharray:5 4}
.proceed{stroke:#1f2328;stroke-width:1.2}.line{fill:none;marker-end:url(#tip)}
.box{stroke:#1f2328;stroke-width:1.2}.start{fill:#ddf4ff}.state{fill:#f6f8fa}.pending{fill:#fff8c5}
.final{fill:#dafbe1}.stop{fill:#ffebe9}"""

_TIP: Final = """\
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
markerUnits="userSpaceOnUse" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#1f2328"/></marker></defs>"""

_LEGEND: Final = (
    ("take", "take: the event becomes part of the run"),
    ("ignore", "ignore: the event is passed over"),
    ("proceed", "proceed: onward with the same event"),
)


def svg(graph: Graph) -> str:
    """Draw a machine, one rule below the other.

    Args:
        graph: What to draw.

    Returns:
        The text of an SVG file.

    Raises:
        TooLargeError: A rule has too many states and arrows.
    """
    placed = [place(rule) for rule in graph.rules]
    told = [f"{mark} {words}: {', '.join(names)}" for mark, words, names in graph.shared]
    width = max([one.width for one in placed] + [420.0])
    width = max([width, *(columns(one.title) * CHARACTER * 1.2 for one in placed)])
    width = max([width, *(columns(line) * CHARACTER for line in told)]) + 2 * _MARGIN
    parts = []
    y = _MARGIN
    for one in placed:
        parts.append(f'<g transform="translate({_MARGIN:g} {y:g})">')
        parts += _rule(one)
        parts.append("</g>")
        y += _TITLE + one.height + _MARGIN
    for action, text in _LEGEND:
        parts.append(
            f'<path class="line {action}" d="M{_MARGIN:g} {y - 4:g} h50"/>'
            f'<text class="legend" x="{_MARGIN + 60:g}" y="{y:g}">{text}</text>'
        )
        y += LINE + 3
    if told:
        heading = "conditions of several rules, each asked once an event:"
        parts.append(_text(_MARGIN, y + LINE, heading, "legend"))
        y += 2 * LINE
        for line in told:
            parts.append(_text(_MARGIN, y, line, "legend"))
            y += LINE
    y += _MARGIN
    size = f'width="{width:g}" height="{y:g}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:g} {y:g}" role="img">'
    )
    back = f'<rect {size} fill="#ffffff"/>'
    return "\n".join((head, f"<style>{_STYLE}</style>", _TIP, back, *parts, "</svg>", ""))


def _rule(one: Placed) -> Iterator[str]:
    yield _text(0, 14, one.title, "title")
    yield f'<g transform="translate(0 {_TITLE:g})">'
    for line in one.lines:
        yield f'<path class="line {line.action}" d="{line.path}"/>'
    for box, rect, notes in one.boxes:
        round_ = 14 if box.kind in ("start", "final") else 4
        yield (
            f'<rect class="box {box.kind}" x="{rect.x:g}" y="{rect.y:g}" '
            f'width="{rect.width:g}" height="{rect.height:g}" rx="{round_}"/>'
        )
        yield _text(rect.x + 10, rect.y + LINE + 2, box.name, "name")
        for number, note in enumerate(notes, 2):
            yield _text(rect.x + 10, rect.y + number * LINE + 2, note, "note")
    for label in one.labels:
        yield from _label(label)
    yield "</g>"


def _label(label: Label) -> Iterator[str]:
    yield f"<g><title>{_safe(label.whole)}</title>"
    for number, line in enumerate(label.lines, 1):
        yield _text(label.rect.x, label.rect.y + number * LINE - 3, line, "label")
    yield "</g>"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{_safe(text)}</text>'


def _safe(text: str) -> str:
    """Give a text as XML may hold it: escaped, and without what XML has no way to write."""
    kept = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return escape(kept)
