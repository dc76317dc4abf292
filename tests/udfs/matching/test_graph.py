"""The compiled machine as a graph, as Mermaid and as SVG."""

from __future__ import annotations

import doctest
import itertools
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.udfs.matching.differential.cases import draw
from tests.udfs.matching.differential.ours import rule_of
from udfs.errors import ConfigInvalid, MillraceError
from udfs.matching import Machine, layout
from udfs.matching.commands import app
from udfs.matching.draw import svg
from udfs.matching.graph import Graph, graph_of, mermaid
from udfs.matching.layout import Placed, Rect, TooLargeError, place

PAGE = (Path(__file__).parents[3] / "docs/rules.md").read_text()
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
HOSTILE = '</text><script>alert("1")</script> ]]> --> #quot; \u202e `%%{init}%%'
SVG = "{http://www.w3.org/2000/svg}"


def rule(*steps: dict[str, Any], name: str = "r", **keys: Any) -> dict[str, Any]:
    """Give a rule."""
    return {"rule": name, "version": 1, "pattern": list(steps), **keys}


def graph(*rules: dict[str, Any]) -> Graph:
    """Give the graph of rules."""
    return graph_of(Machine.compile(list(rules)))


A = {"step": "a", "event": "x", "where": "props.n > 1"}
B = {"step": "b", "event": "y"}


def test_boxes_and_arrows_of_a_small_rule() -> None:
    """What is taken, what is passed over, and where the match is."""
    [one] = graph(rule(A, B, within="5m")).rules
    assert one.title == "r version 1 · within 5m · max_runs 1000"
    assert [(box.name, box.kind) for box in one.boxes] == [
        ("a", "start"), ("b", "state"), ("match", "final")]  # fmt: skip
    assert [(arrow.source, arrow.action, arrow.label, arrow.target) for arrow in one.arrows] == [
        (2, "take", "x where props.n > 1", 1),
        (2, "ignore", "not (x where props.n > 1)", 2),
        (1, "take", "y", 0),
        (1, "ignore", "not y", 1),
    ]


def test_limits_absences_and_stops() -> None:
    """Their boxes say what they mean."""
    absent = {"step": "no", "event": "z", "then": "not_followed_by"}
    [one] = graph(rule(A, B | {"gap": {"max": "3s"}}, absent, within="1m")).rules
    notes = {box.name: (box.kind, box.note) for box in one.boxes}
    assert notes["b"] == ("state", "at most 3s since the last event")
    assert notes["no"] == ("pending", "a match when its time has passed")
    assert notes["no:0"] == ("stop", "the run is gone")


def test_conditions_of_several_rules_are_marked() -> None:
    """With the names of the rules that ask them."""
    found = graph(rule(A, B, name="r1"), rule(B, name="r2"), rule(B | {"event": "q"}, name="r3"))
    assert found.shared == (("[1]", "y", ("r1", "r2")),)
    labels = [arrow.label for one in found.rules for arrow in one.arrows]
    assert "y [1]" in labels
    assert "not y [1]" in labels
    assert "q" in labels


def test_mermaid_escapes_what_is_not_plain() -> None:
    """Whatever an event type or a condition holds."""
    text = mermaid(graph(rule(A | {"event": HOSTILE, "where": f"props.s == {HOSTILE!r}"}, B)))
    assert "<script>" not in text
    assert "\u202e" not in text
    for line in text.splitlines():
        assert line.count('"') in (0, 2), line
        assert re.fullmatch(r"[ -~·]*", line), line


def test_svg_is_xml_with_all_the_texts() -> None:
    """Hostile names are texts in it, nothing else."""
    found = graph(rule(A | {"event": HOSTILE}, B), rule(B, name="shared"))
    root = ET.fromstring(svg(found))
    assert {one.tag for one in root.iter()} <= {
        f"{SVG}{tag}"
        for tag in ("svg", "style", "defs", "marker", "path", "rect", "g", "text", "title")
    }
    titles = [one.text or "" for one in root.iter(f"{SVG}title")]
    assert any("<script>" in title for title in titles)
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert "shared version 1 · max_runs 1000" in texts
    assert "[1] y: r, shared" in texts


def overlap(one: Rect, other: Rect) -> bool:
    """Whether two rectangles have more than an edge in common."""
    apart = (
        one.x + one.width <= other.x or other.x + other.width <= one.x
        or one.y + one.height <= other.y or other.y + other.height <= one.y
    )  # fmt: skip
    return not apart


def levels(path: str) -> list[tuple[float, float, float]]:
    """Give the level parts of an arrow: height, from, to."""
    found = []
    x = y = 0.0
    for command, numbers in re.findall(r"([MHVC])([^MHVC]*)", path):
        values = [float(number) for number in numbers.split()]
        if command == "H":
            found.append((y, min(x, values[0]), max(x, values[0])))
            x = values[0]
        elif command == "V":
            y = values[0]
        else:
            x, y = values[-2:]
    return found


def check(placed: Placed) -> None:
    """Nothing lies on anything else."""
    rects = [rect for _, rect, _ in placed.boxes] + [label.rect for label in placed.labels]
    for one, other in itertools.combinations(rects, 2):
        assert not overlap(one, other)
    for rect in rects:
        assert rect.x >= 0
        assert rect.y >= -1e-9
        assert rect.x + rect.width <= placed.width
        assert rect.y + rect.height <= placed.height
    for line in placed.lines:
        for height, left, right in levels(line.path):
            for rect in rects:
                inside = rect.y + 0.5 < height < rect.y + rect.height - 0.5
                beside = right <= rect.x + 0.5 or left >= rect.x + rect.width - 0.5
                assert not inside or beside


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one["rule"])
def test_nothing_overlaps_in_the_examples(example: dict[str, Any]) -> None:
    """Boxes, labels and the level parts of arrows."""
    for one in graph(example).rules:
        check(place(one))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_nothing_overlaps_in_any_rule(number: int) -> None:
    """Whatever the operators."""
    try:
        found = graph(rule_of(draw(11, number)))
    except ConfigInvalid:
        return
    for one in found.rules:
        try:
            check(place(one))
        except TooLargeError:
            continue
    ET.fromstring(svg(found))


def test_long_and_wide_labels() -> None:
    """Are broken, cut and measured; the whole is in the tooltip."""
    where = " && ".join(f"props.购物车{'x' * 50} == '购物车'" for _ in range(9)).replace(
        "购物车x", "x"
    )
    [one] = graph(rule(A | {"where": where.replace("props.购物车", "props.x")}, B)).rules
    placed = place(one)
    check(placed)
    assert max(len(label.lines) for label in placed.labels) == layout.MOST_LINES
    assert any(where[-20:] in label.whole for label in placed.labels)


def call(*words: str) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, ["graph", *words])


def test_the_command_writes_svg_and_mermaid(tmp_path: Path) -> None:
    """By the ending of the file; Mermaid on standard output without one."""
    source = tmp_path / "rules.json"
    source.write_text(json.dumps([rule(A, B), rule(B, name="r2")]))
    result = call(str(source), "-o", str(tmp_path / "x.svg"))
    assert result.exit_code == 0, result.output
    assert result.stderr == f"{tmp_path}/x.svg: 2 rules\n"
    ET.parse(tmp_path / "x.svg")
    assert call(str(source), "-o", str(tmp_path / "x.mmd")).exit_code == 0
    assert call(str(source)).stdout == (tmp_path / "x.mmd").read_text()
    assert "r2 version 1" not in call(str(source), "--rule", "r").stdout


def test_the_command_refuses(tmp_path: Path) -> None:
    """Other endings, folders that are not there, rules that are too large for a picture."""
    source = tmp_path / "rules.json"
    source.write_text(json.dumps(rule(A | {"times": "1..190"}, B)))
    for words, text in {
        ("-o", str(tmp_path / "x.png")): "neither .svg nor .mmd",
        ("-o", str(tmp_path / "no" / "x.mmd")): "cannot be written: No such file",
        ("-o", str(tmp_path / "x.svg")): "too many states and arrows for a picture",
        ("--rule", "s"): "no rule 's'",
    }.items():
        result = call(str(source), *words)
        assert isinstance(result.exception, MillraceError), result.output
        assert text in str(result.exception)


def test_examples() -> None:
    """Those in the docstrings."""
    assert doctest.testmod(layout).failed == 0
