"""Where the boxes, arrows and labels of one rule's graph go: layers from left to right.

A state's layer is the longest way to it. Every arrow leaves its box on the right under a label of
its own, so that no two labels meet, and passes layers in between in a row that is kept free for
it. Loops lie on top of their box, arrows that lead back below everything.
"""

from __future__ import annotations

import itertools
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Final

import msgspec

from udfs.matching.graph import Arrow, Box, RuleGraph
from udfs.matching.layers import layers_of, leading_back

if TYPE_CHECKING:
    from collections.abc import Iterable

CHARACTER: Final = 7.3
"""Width of a character of the 12 px monospaced font, px; a little too wide for most fonts."""
LINE: Final = 15.0
"""From line to line, px."""
WRAP: Final = 30
"""Characters of a label's line."""
MOST_LINES: Final = 7
"""Lines of a label; the whole text is in its tooltip."""
MOST_ROWS: Final = 4_000
"""Rows kept free for arrows: a pattern with more is too large to be looked at."""

_PAD: Final = 10.0
_BEND: Final = 60.0  # between two layers, for the bends of arrows
_GAP: Final = 18.0  # between two boxes of a layer
_LOOP: Final = 58.0  # what the arcs of loops take up beside their label
_LANE: Final = 12.0


class TooLargeError(Exception):
    """A graph that nobody could look at."""


class Rect(msgspec.Struct, frozen=True):
    """A box or a label, px: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


class Label(msgspec.Struct, frozen=True):
    """A text in lines, with the rectangle that it takes up, and all of it."""

    lines: tuple[str, ...]
    rect: Rect
    whole: str


class Line(msgspec.Struct, frozen=True):
    """An arrow: what it does, and its path in SVG's words."""

    action: str
    path: str


class Placed(msgspec.Struct, frozen=True):
    """One rule's drawing.

    Args:
        title: Of the rule.
        boxes: States with their rectangles and the lines of their notes.
        labels: Of the arrows.
        lines: The arrows.
        width: Of all, px.
        height: Of all, px.
    """

    title: str
    boxes: tuple[tuple[Box, Rect, tuple[str, ...]], ...]
    labels: tuple[Label, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


class _Item:
    """A box in a layer, or a row that an arrow passes through."""

    def __init__(self, layer: int, box: Box | None) -> None:
        self.layer = layer
        self.box = box
        self.notes = tuple(textwrap.wrap(box.note, 24)) if box is not None else ()
        self.out: list[tuple[Arrow, tuple[str, ...]]] = []
        self.loops: list[tuple[Arrow, tuple[str, ...]]] = []
        self.before: list[_Item] = []
        self.top = 0.0
        self.entries = 0

    @property
    def head(self) -> float:
        """Height of the loops on top."""
        return sum(_loop_height(lines) for _, lines in self.loops)

    @property
    def body(self) -> float:
        """Height of the box."""
        if self.box is None:
            return _LANE
        slots = sum(len(lines) * LINE + 6 for _, lines in self.out)
        return max(slots + 6, (1 + len(self.notes)) * LINE + _PAD)

    @property
    def height(self) -> float:
        """Height of all."""
        return self.head + self.body

    def enter(self) -> float:
        """Give the height at which the next arrow comes in."""
        self.entries += 1
        share = self.body / (max(len(self.before), 1) + 1)
        return self.top + self.head + share * self.entries


def columns(text: str) -> int:
    """Give how many characters wide a text is; those of East Asia count twice.

    >>> columns("ab"), columns("购物")
    (2, 4)

    Args:
        text: One line.
    """
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def wrapped(arrow: Arrow) -> tuple[str, ...]:
    """Give the lines of an arrow's label."""
    text = f"{arrow.action} {arrow.label}".rstrip()
    lines = textwrap.wrap(text, WRAP, break_on_hyphens=False)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][: WRAP - 4]} ..."]
    return tuple(lines)


def place(rule: RuleGraph) -> Placed:
    """Give the drawing of one rule.

    Args:
        rule: What to draw.

    Raises:
        TooLargeError: It has too many states and arrows.
    """
    return _Layout(rule).placed()


class _Layout:
    def __init__(self, rule: RuleGraph) -> None:
        self._rule = rule
        self._back = leading_back(rule)
        layers = layers_of(rule, self._back)
        self._items = {box.index: _Item(layers[box.index], box) for box in rule.boxes}
        self._ways: list[tuple[Arrow, list[_Item]]] = []
        self._rows = list(self._items.values())
        for arrow in rule.arrows:
            source, target = self._items[arrow.source], self._items[arrow.target]
            if source is target:
                source.loops.append((arrow, wrapped(arrow)))
                continue
            source.out.append((arrow, wrapped(arrow)))
            way = [source]
            if arrow not in self._back:
                for layer in range(source.layer + 1, target.layer):
                    way.append(_Item(layer, None))
                    self._rows.append(way[-1])
            way.append(target)
            for one, other in itertools.pairwise(way):
                other.before.append(one)
            self._ways.append((arrow, way))
            if len(self._rows) > MOST_ROWS:
                raise TooLargeError
        self._stack()
        self._spread()

    def _stack(self) -> None:
        """Set the tops: every layer in the order of where its arrows come from."""
        self._layers: list[list[_Item]] = [[] for _ in range(max(i.layer for i in self._rows) + 1)]
        for item in self._rows:
            self._layers[item.layer].append(item)
        for number, layer in enumerate(self._layers):
            wished = {id(item): _wish(item, number) for item in layer}
            layer.sort(key=lambda item: (_is_stop(item), wished[id(item)]))
            bottom = 0.0
            for item in layer:
                item.top = max(bottom, wished[id(item)] - item.height / 2)
                bottom = item.top + item.height + _GAP

    def _spread(self) -> None:
        """Set the columns: where boxes begin, where labels begin and where bends begin."""
        back = [(arrow, way) for arrow, way in self._ways if arrow in self._back]
        self._left: list[float] = []
        self._boxes: list[float] = []
        self._bends: list[float] = []
        into = [sum(way[-1].layer == n for _, way in back) for n in range(len(self._layers))]
        out = [sum(way[0].layer == n for _, way in back) for n in range(len(self._layers))]
        x = _PAD + _LANE * (into[0] + 2)
        for number, layer in enumerate(self._layers):
            box = max((_box_width(item) for item in layer), default=0.0)
            labels = (lines for item in layer for _, lines in item.out)
            zone = max((_width(lines) for lines in labels), default=0.0) + 2 * _PAD
            loops = (lines for item in layer for _, lines in item.loops)
            above = max((_width(lines) + _LOOP for lines in loops), default=0.0)
            self._left.append(x)
            self._boxes.append(box)
            self._bends.append(x + max(box + zone, above + _PAD))
            following = into[number + 1] if number + 1 < len(into) else 0
            x = self._bends[-1] + _BEND + _LANE * (out[number] + following)
        self._width = self._bends[-1] + _PAD + _LANE * (out[-1] + 1)

    def placed(self) -> Placed:
        bottom = max(item.top + item.height for item in self._rows)
        labels: list[Label] = []
        lines: list[Line] = []
        boxes = []
        ports: dict[int, float] = {}
        for item in self._items.values():
            box = item.box
            assert box is not None
            x, width = self._left[item.layer], self._boxes[item.layer]
            y = item.top + item.head
            boxes.append((box, Rect(x, y, width, item.body), item.notes))
            self._add_loops(item, labels, lines)
            for arrow, text in item.out:
                size = len(text) * LINE
                rect = Rect(x + width + _PAD, y + 3, _width(text), size)
                labels.append(Label(text, rect, f"{arrow.action} {arrow.label}".rstrip()))
                y += size + 6
                ports[id(arrow)] = y
        lanes: list[int] = []
        for arrow, way in self._ways:
            if arrow in self._back:
                lanes.append(len(lanes) + 1)
                lines.append(self._below(arrow, way, ports[id(arrow)], bottom, lanes[-1]))
            else:
                lines.append(self._across(arrow, way, ports[id(arrow)]))
        height = bottom + _LANE * (len(lanes) + 1)
        rule = self._rule
        return Placed(rule.title, tuple(boxes), tuple(labels), tuple(lines), self._width, height)

    def _add_loops(self, item: _Item, labels: list[Label], lines: list[Line]) -> None:
        x, y = self._left[item.layer], item.top + item.head
        for number, (arrow, text) in enumerate(item.loops):
            size = _loop_height(text)
            inner = 8.0 * min(number, 2)
            high = y - size + 6
            left, right = x + 22 - inner, x + 34 + inner
            floor = item.top + item.head
            arc = f"C{left - 8:g} {high:g} {right + 8:g} {high:g} {right:g} {floor:g}"
            lines.append(Line(arrow.action, f"M{left:g} {floor:g} {arc}"))
            rect = Rect(x + _LOOP, y - size, _width(text), len(text) * LINE)
            labels.append(Label(text, rect, f"{arrow.action} {arrow.label}".rstrip()))
            y -= size

    def _across(self, arrow: Arrow, way: list[_Item], port: float) -> Line:
        source = way[0]
        x = self._left[source.layer] + self._boxes[source.layer]
        bend = self._bends[source.layer]
        parts = [f"M{x:g} {port:g} H{bend:g}"]
        y = port
        for item in way[1:]:
            left, into = self._left[item.layer], item.enter()
            half = (left - bend) / 2
            parts.append(f"C{bend + half:g} {y:g} {left - half:g} {into:g} {left:g} {into:g}")
            y, bend = into, self._bends[item.layer]
            if item.box is None:
                parts.append(f"H{bend:g}")
        return Line(arrow.action, " ".join(parts))

    def _below(self, arrow: Arrow, way: list[_Item], port: float, bottom: float, lane: int) -> Line:
        source, target = way
        x = self._left[source.layer] + self._boxes[source.layer]
        down = self._bends[source.layer] + _LANE * lane / 2
        low = bottom + _LANE * lane
        left, into = self._left[target.layer], target.enter()
        up = left - _LANE * (1 + lane / 2)
        path = f"M{x:g} {port:g} H{down:g} V{low:g} H{up:g} V{into:g} H{left:g}"
        return Line(arrow.action, path)


def _loop_height(lines: tuple[str, ...]) -> float:
    return max(len(lines), 2) * LINE + 6


def _wish(item: _Item, layer: int) -> float:
    """Give the height at which a box would like to have its middle."""
    before = [one for one in item.before if one.layer < layer]
    if not before:
        return item.height / 2
    return sum(one.top + one.head + one.body / 2 for one in before) / len(before)


def _is_stop(item: _Item) -> bool:
    return item.box is not None and item.box.kind == "stop"


def _width(lines: Iterable[str]) -> float:
    return max(map(columns, lines), default=0) * CHARACTER


def _box_width(item: _Item) -> float:
    if item.box is None:
        return 0.0
    return max(_width((item.box.name, *item.notes)) + 2 * _PAD, 70.0)
