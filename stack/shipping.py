"""The folder that ``bin/flink run -pyfs`` sends to the workers.

Flink copies the whole folder it is given, so it must hold the packages and nothing else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from stack.settings import ROOT

PACKAGES = ("jobs", "udfs", "feature_dist", "configs")


def stage(target: Path) -> Path:
    """Copy the packages that workers import.

    Args:
        target: The folder; what it held before is replaced.

    Returns:
        ``target``, for ``-pyfs``.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            target / package,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"),
        )
    return target
