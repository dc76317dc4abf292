"""Writes ``requirements.lock``: what pyproject.toml needs, in the versions installed here.

Run it after the tests have passed: ``.local/venv/bin/python -m stack.lock``.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
# Builds the project itself and the few packages that come as source only. They stand first:
# those are built without an environment of their own, which would be fetched for each.
BUILD = ("setuptools", "wheel")
HEADER = """\
# What the tests passed with: the packages of pyproject.toml, the 'dev' ones included, and what
# they need, on CPython 3.11 for Linux. Made by 'python -m stack.lock'.
"""


def closure(requirements: list[Requirement]) -> dict[str, str]:
    """Versions installed here of the requirements and of what they need, by canonical name.

    Raises:
        SystemExit: An installed version is outside a requirement's range.
    """
    todo = list(requirements)
    done: set[tuple[str, frozenset[str]]] = set()
    versions: dict[str, str] = {}
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        distribution = importlib.metadata.distribution(requirement.name)
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            sys.exit(f"{name} {distribution.version} is installed, wanted is {requirement}")
        versions[name] = distribution.version
        key = (name, frozenset(requirement.extras))
        if key not in done:
            done.add(key)
            wanted = [Requirement(text) for text in distribution.requires or []]
            todo.extend(each for each in wanted if _applies(each, requirement.extras))
    return versions


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def main() -> None:
    """Write the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["dev"], *build, *BUILD]
    versions = closure([Requirement(text) for text in texts])
    names = [*BUILD, *sorted(set(versions) - set(BUILD))]
    lines = [f"{name}=={versions[name]}\n" for name in names]
    LOCK.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
