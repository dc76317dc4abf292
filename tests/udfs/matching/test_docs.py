"""The examples of docs/rules.md work."""

from __future__ import annotations

import json
import re
from pathlib import Path

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


def test_search_without_click() -> None:
    """The time-out tells of a search that nothing came of."""
    log = [("search", 0, {"query": "shoes"}), ("click", 5, {"query": "hats"})]
    assert found("search_without_click", *log) == [("timeout", 120)]
