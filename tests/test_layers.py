"""Packages import downwards only, and only the shell knows PyFlink (docs/architecture.md)."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# What a package may import besides itself; the longest name that fits a module counts.
ALLOWED: dict[str, set[str]] = {
    "jobs": {"udfs", "configs", "feature_dist"},
    "udfs.errors": set(),
    "udfs.schemas": {"udfs.errors"},
    "udfs.slices": set(),
    "udfs.sharding": {"udfs.errors"},
    "udfs.events": {"udfs.errors", "udfs.schemas"},
    "udfs.terminal": {"udfs.events", "udfs.errors"},
    "udfs.expressions": {"udfs.events", "udfs.errors", "udfs.schemas", "udfs.slices"},
    "udfs.aggregation": {
        "udfs.expressions", "udfs.events", "udfs.errors", "udfs.schemas", "udfs.slices",
        "udfs.terminal",
    },
    "udfs.matching": {
        "udfs.expressions", "udfs.events", "udfs.errors", "udfs.schemas", "udfs.slices",
        "udfs.terminal",
    },
    "udfs.stitching": {"udfs.events", "udfs.errors", "udfs.schemas", "udfs.terminal"},
    "udfs.scoring": {"feature_dist.store", "udfs.errors", "udfs.schemas"},
    "udfs.features": {"feature_dist", "udfs.errors", "udfs.schemas", "udfs.sharding"},
    "udfs.decisions": {
        "udfs.features", "udfs.scoring", "udfs.matching", "udfs.aggregation", "udfs.stitching",
        "udfs.expressions",
        "udfs.events", "udfs.errors", "udfs.schemas", "udfs.sharding", "udfs.slices",
        "feature_dist.pointer",
    },
    "udfs.runtime": {"udfs", "configs", "feature_dist"},
    "udfs": set(),
    "configs": {"udfs.errors"},
    "feature_dist": {"udfs.errors", "udfs.schemas", "udfs.sharding"},
    "stack": {"configs", "udfs.errors"},
    "cli": {"udfs.errors"},
}  # fmt: skip
OURS = {name.partition(".")[0] for name in ALLOWED}
KNOWS_FLINK = ("jobs", "udfs.runtime")
# Development only, never imported by a worker: finds the wheel that holds Flink's distribution.
FINDS_FLINK = "stack.flink_home"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours with its file."""
    for package in sorted(OURS):
        for path in [ROOT / f"{package}.py", *sorted((ROOT / package).rglob("*.py"))]:
            if path.is_file():
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__"), path


def imported(name: str, path: Path) -> set[str]:
    """Names that a module imports, those for the type checker only included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            # `from udfs import errors` imports udfs.errors.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(name: str) -> str:
    """The entry of ALLOWED that a module belongs to."""
    return max((known for known in ALLOWED if within(name, known)), key=len)


def within(name: str, package: str) -> bool:
    """Whether a module is a package or lies in it."""
    return name == package or name.startswith(f"{package}.")


MODULES = dict(modules())


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_lies_below_it(name: str) -> None:
    """No package reaches up or aside."""
    own = layer(name)
    for other in imported(name, MODULES[name]):
        if other.partition(".")[0] not in OURS or within(other, own):
            continue
        assert any(within(other, below) for below in ALLOWED[own]), f"{name} imports {other}"


@pytest.mark.parametrize("name", MODULES)
def test_only_the_shell_imports_pyflink(name: str) -> None:
    """Everything else works without a JVM."""
    if name == FINDS_FLINK or any(within(name, shell) for shell in KNOWS_FLINK):
        return
    found = [other for other in imported(name, MODULES[name]) if within(other, "pyflink")]
    assert not found, f"{name} imports {found}"


def test_what_is_imported_is_declared() -> None:
    """A package that only happens to be installed is missing in a fresh clone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    declared |= {"packaging", "ruamel-yaml"}  # only in stack/; apache-flink needs both
    distributions = packages_distributions()
    for name, path in MODULES.items():
        for other in imported(name, path):
            top = other.partition(".")[0]
            if top in OURS or top in sys.stdlib_module_names:
                continue
            found = {canonicalize_name(found) for found in distributions.get(top, ())}
            assert found & declared, f"{name} imports {top}, which pyproject.toml does not name"


def test_the_check_sees_all_packages() -> None:
    """A package that is missing here would go unchecked."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - {"benchmarks"} <= OURS
    assert len(MODULES) > 100
