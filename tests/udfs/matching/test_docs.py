"""The examples of docs/rules.md work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from udfs.matching import Machine, match
from udfs.matching.commands import app
from udfs.matching.draw import svg
from udfs.matching.flip200 import to_rule
from udfs.matching.graph import graph_of, mermaid

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "rules.md").read_text()
EXAMPLES = {
    rule["rule"]: rule
    for rule in map(json.loads, re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL))
}


def found(name: str, *events: tuple[str, int, dict[str, object]]) -> list[tuple[str, int]]:
    """Run an example; events are type, second and properties."""
    log = [
        {"event_id": str(i), "event_type": kind, "user_id": "u", "event_time": s * 1000, "props": p}
        for i, (kind, s, p) in enumerate(events)
    ]
    return [(one["kind"], one["at"] // 1000) for one in match([EXAMPLES[name]], log, 10**7)]


def test_cart_abandoned() -> None:
    """With a payment there is nothing to report."""
    view = {"price": 120.0, "sku": "s"}
    log = [("item_view", 0, view), ("item_view", 5, view), ("add_to_cart", 9, {"sku": "s"})]
    assert found("cart_abandoned", *log) == [("match", 1800)]
    assert found("cart_abandoned", *log, ("pay", 20, {})) == []


def test_guessed_password() -> None:
    """Anything between the attempts breaks the row."""
    log = [("login_failed", second, {}) for second in range(3)]
    assert found("guessed_password", *log, ("login", 3, {})) == [("match", 3)]
    assert found("guessed_password", *log, ("page_enter", 3, {}), ("login", 4, {})) == []


def page(second: int, name: str) -> dict[str, Any]:
    """An event with a page."""
    return {
        "event_id": str(second), "event_type": "page_enter", "user_id": "u",
        "event_time": second * 1000, "page_id": name,
    }  # fmt: skip


@pytest.mark.parametrize(("stay", "expected"), [(10, 1), (9, 0)])
def test_came_back(stay: int, expected: int) -> None:
    """Ten seconds on the other page are enough, nine are not."""
    log = [page(0, "A"), page(5, "B"), page(5 + stay, "A")]
    assert len(match([EXAMPLES["came_back"]], log)) == expected
    assert match([EXAMPLES["came_back"]], [log[0], page(1, "C"), *log[1:]]) == []


def test_unpaid_order() -> None:
    """Five minutes after the order the time is over."""
    assert found("unpaid_order", ("order", 0, {}), ("view", 400, {})) == [("timeout", 300)]
    assert found("unpaid_order", ("order", 0, {}), ("pay", 299, {})) == [("match", 299)]


def test_reader() -> None:
    """One match with all the scrolls before the end of the page."""
    depths = [(10, 20), (30, 50), (50, 90), (60, 100), (70, 40)]
    scrolls = [("scroll", second, {"depth": depth}) for second, depth in depths]
    log = [("page_enter", 0, {}), *scrolls, ("pay", 80, {})]
    events = [
        {"event_id": str(i), "event_type": t, "user_id": "u", "event_time": s * 1000, "props": p}
        for i, (t, s, p) in enumerate(log)
    ]
    [one] = match([EXAMPLES["reader"]], events)
    assert [event["event_id"] for event in one["steps"]["scroll"]] == ["1", "2", "3"]


def test_hesitant() -> None:
    """Two rounds, one of them with a look at the coupons; another product is no second thought."""
    sku = {"sku": "s"}
    rounds = [("add_to_cart", 1, sku), ("coupon_view", 2, {}), ("remove_from_cart", 3, sku)]
    rounds += [("add_to_cart", 4, sku), ("remove_from_cart", 5, sku)]
    assert found("hesitant", *rounds, ("app_close", 6, {})) == [("match", 6)]
    rounds[-1] = ("remove_from_cart", 5, {"sku": "t"})
    assert found("hesitant", *rounds, ("app_close", 6, {})) == []


def test_every_key_of_a_step_and_a_rule_is_explained_and_shown() -> None:
    """In a table of the page, and the keys of steps in an example as well."""
    schema = json.loads((Path(__file__).parents[3] / "udfs/matching/rule.schema.json").read_text())
    for key in (*schema["properties"], *schema["$defs"]["step"]["properties"]):
        assert re.search(rf"^\| [^|]*`{key}`", TEXT, re.MULTILINE), key
    shown = json.dumps(list(EXAMPLES.values()))
    for key in schema["$defs"]["step"]["properties"]:
        assert f'"{key}":' in shown, key


def test_search_without_click() -> None:
    """The time-out tells of a search that nothing came of."""
    log = [("search", 0, {"query": "shoes"}), ("click", 5, {"query": "hats"})]
    assert found("search_without_click", *log) == [("timeout", 120)]


def blocks(language: str) -> list[str]:
    """Give the blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> dict[str, str]:
    """Give the commands that the page shows, each with what it prints."""
    shown = "".join(block.rstrip("\n") + "\n\n" for block in blocks("console"))
    found = re.findall(r"^\$ millrace rules (.+)\n((?:(?!\$ ).*\n)*)", shown, re.MULTILINE)
    return {command: output.rstrip("\n") + "\n" for command, output in found}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the page speaks of, in the current folder."""
    (tmp_path / "cart.json").write_text(json.dumps(EXAMPLES["cart_abandoned"]))
    [events] = blocks("jsonl")
    (tmp_path / "events.jsonl").write_text(events)
    [bad] = [text for text in blocks("text") if "whithin" in text]
    (tmp_path / "bad.json").write_text(bad)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("command", commands())
def test_commands_print_what_the_page_shows(command: str) -> None:
    """All but the speed."""
    expected = commands()[command]
    output = CliRunner().invoke(app, command.split()).output
    speed = re.compile(r"in [\d.]+ s \([\d,]+/s\)")
    assert speed.sub("", output) == speed.sub("", expected)


def test_every_command_is_shown_or_explained() -> None:
    """And every kind of ending."""
    assert {command.split()[0] for command in commands()} == {"check", "run", "explain"}
    for name in (command.name for command in app.registered_commands):
        assert f"**`{name} " in TEXT
    for kind in ("match", "timeout", "window", "gap", "stopped", "broken", "pruned", "overflow"):
        assert re.search(rf"^\| [^|]*`{kind}`", TEXT, re.MULTILINE)


def test_pictures_are_those_of_the_machine() -> None:
    """Write them anew with `millrace rules graph` after a change."""
    graph = graph_of(Machine.compile([EXAMPLES["cart_abandoned"]]))
    assert blocks("mermaid") == [mermaid(graph)]
    assert (DOCS / "images/cart_abandoned.svg").read_text() == svg(graph)


def test_names_become_properties_unless_said_otherwise() -> None:
    """As the page says of `import`."""
    condition = {"type": "AVIATOR", "expression": "action == 'pay'"}
    node = {"name": "a", "type": "ATOMIC", "quantifier": None, "condition": condition}
    graph = {"name": "g", "nodes": [node], "edges": []}
    assert to_rule(graph, {})[0]["pattern"] == [{"step": "a", "where": "props.action == 'pay'"}]
    mapped, _ = to_rule(graph, {"action": "event_type"})
    assert mapped["pattern"] == [{"step": "a", "event": "pay"}]
