"""The HTML page of sessions in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.udfs.stitching.suite import cases
from udfs.stitching import stitch
from udfs.stitching.html_page import page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOSTILE = '<img src=x onerror="document.title=1"></svg><script>document.title=2</script>\x1b[2J'


def records() -> list[dict[str, Any]]:
    """The suite, and a session whose texts mean harm."""
    found = [record for case in cases() for record in stitch(case.events, **case.options)]
    fields = ("page_id", "page_instance", "source", "launch_id", "scene_id", "element_id")
    event = {"event_type": "page_enter", "event_time": 0, "user_id": HOSTILE, "event_id": HOSTILE}
    event |= dict.fromkeys((*fields, "from_page_instance"), HOSTILE)
    log = [event | {"from_page_instance": "Z"}, event | {"event_id": "2", "event_type": HOSTILE}]
    return found + stitch(log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that is installed."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


def test_it_needs_nothing_else() -> None:
    """No address, no script, no style but its own."""
    text = page(records(), "Sessions")
    assert not re.search(r"https?:|//|<script|<link|<img|@import|url\(|\sstyle=", text)
    assert text.count("<style>") == 1
    assert "default-src &#x27;none&#x27;" in text


def test_the_tree_is_visible(browser: Any, tmp_path: Path) -> None:
    """Every level, with its style, links that lead somewhere, and nothing that runs or loads."""
    given = records()
    path = tmp_path / "tree.html"
    path.write_text(page(given, f"Sessions of {HOSTILE}"), encoding="utf-8")
    opened = browser.new_page()
    told: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    assert told == []
    assert asked == [path.as_uri()]
    assert opened.locator("section").count() == len(given)
    shown = opened.locator("li.page")
    assert shown.count() == sum(record["pages"] for record in given)
    for i in range(shown.count()):
        assert shown.nth(i).is_visible()
    jump = opened.locator("section", has_text="miniprogram")
    for words in (
        "L1",
        "home",
        "M#1",
        "pay",
        "\u2192 went to M#1 by e4",
        "\u2190 came from N#1 by e4",
    ):
        assert jump.get_by_text(words, exact=False).first.is_visible(), words
    bar = jump.locator("rect.stay").nth(1).bounding_box()
    whole = jump.locator("rect.whole").nth(1).bounding_box()
    assert bar["width"] == pytest.approx(whole["width"] * 11 / 21, rel=0.02)
    assert (
        opened.evaluate("getComputedStyle(document.querySelector('section')).borderRadius") == "8px"
    )
    targets = opened.evaluate(
        "[...document.querySelectorAll('a')].map(a => document.querySelector(a.hash) !== null)"
    )
    assert targets
    assert all(targets)
    assert opened.title().startswith("Sessions of <img")
    assert opened.locator("img, script").count() == 0
    opened.close()
