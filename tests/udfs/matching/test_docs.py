"""The examples of docs/rules.md work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from udfs.matching import match

TEXT = (Path(__file__).parents[3] / "docs/rules.md").read_text()
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
