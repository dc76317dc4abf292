"""What the documentation says is so: links lead somewhere, examples compile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cli import COMMANDS
from configs.assemble import assemble
from configs.settings import DecideSettings
from configs.settings_doc import PAGE, document
from udfs.decisions.decision import Decision
from udfs.decisions.program import Program

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "configs" / "examples"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.name for page in PAGES]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading in it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_that_are_named_exist(page: Path) -> None:
    """`millrace WORD` in code is a sub-command."""
    known = {command.name for command in COMMANDS}
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`(millrace [^`]+)`", text) + re.findall(
        r"^(millrace .+)$", text, flags=re.MULTILINE
    )
    for command in code:
        word = command.split()[1]
        assert word in known or not word.isalpha(), command


def examples() -> dict[str, Any]:
    """The parts of the example manifest by name."""
    parts: dict[str, Any] = json.loads(assemble(EXAMPLES, 1))
    return parts


@pytest.mark.parametrize("replaced", [False, True], ids=["first", "changed"])
def test_the_example_configs_compile(*, replaced: bool) -> None:
    """Before and after the push of the demo."""
    changes = [EXAMPLES / "changed_rule.json"] if replaced else []
    manifest = json.loads(assemble(EXAMPLES, 1, changes))
    program = Program.compile(1, manifest, {"decisions"})
    assert [flow.name for flow in program.flows] == ["offer", "reminder", "thanks"]


def specs(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """The specs of one kind in the JSON blocks of the pages, alone or in lists."""
    found = []
    for page in PAGES:
        for block in blocks(page, "json"):
            value = json.loads(block)
            found += [
                (page.name, spec)
                for spec in (value if isinstance(value, list) else [value])
                if kind in spec
            ]
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_json_blocks_are_json(page: Path) -> None:
    """Nothing is left out with dots."""
    for block in blocks(page, "json"):
        json.loads(block)


def test_rules_and_aggregates_in_the_pages_compile() -> None:
    """Each of them by itself."""
    rules = [spec for _, spec in specs("rule") if "pattern" in spec]
    aggregates = [spec for _, spec in specs("aggregate") if "derive" not in spec]
    assert len(rules) > 2
    assert len(aggregates) > 2
    for rule in rules:
        Program.compile(1, {"rules": [rule]}, set())
    for aggregate in aggregates:
        Program.compile(1, {"aggregates": [aggregate]}, set())
    for page, derived in specs("aggregate"):
        if "derive" in derived:
            others = {spec["aggregate"]: spec for one, spec in specs("aggregate") if one == page}
            Program.compile(1, {"aggregates": [*others.values()]}, set())


def test_flows_in_the_pages_compile() -> None:
    """With the rules and aggregates of the example configs, as the pages say."""
    flows = [spec for _, spec in specs("flow") if "trigger" in spec and "action" in spec]
    assert flows
    for flow in flows:
        Program.compile(1, {**examples(), "flows": [flow]}, {"decisions"})


def test_decisions_in_the_pages_fit_the_schema() -> None:
    """Decisions that are shown are decisions."""
    schema = json.loads((ROOT / "udfs/decisions/decision.schema.json").read_text())
    for _, spec in specs("decision_id"):
        jsonschema.validate(spec, schema)


def test_all_fields_of_a_decision_are_explained() -> None:
    """docs/decisions.md names each."""
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for field in Decision.__struct_fields__:
        assert f"`{field}`" in text or f"**`{field}`**" in text


def test_all_keys_of_a_flow_are_explained() -> None:
    """docs/decisions.md names each key of the schema."""
    schema = json.loads((ROOT / "udfs/decisions/flow.schema.json").read_text())
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    keys = set(schema["properties"]) - {"action"}
    keys |= {f"action.{key}" for key in schema["properties"]["action"]["properties"]}
    for key in keys:
        assert f"| `{key}` |" in text, key


def test_the_page_of_settings_is_that_of_the_model() -> None:
    """Run `python -m configs.settings_doc` after a change of the settings."""
    assert PAGE.read_text(encoding="utf-8") == document(DecideSettings)


def test_the_page_of_settings_shows_durations_as_text() -> None:
    """As they are written, not in milliseconds."""
    text = document(DecideSettings)
    assert "| `checkpoint_interval` | `10s` |" in text
    assert "| `action_topics` | empty |" in text
