"""Which code a worker runs, and whether it is the code that the driver shipped.

A TaskManager in thread mode keeps imported modules for life: a job submitted again with
changed code would run the old one without a word. The digest of this process is therefore
taken once, from the files, when this module is imported, and stays what it was.

The folder a job was shipped to goes with the job, the modules stay: a worker that then needed
one more would not find it. So the modules of the two operators import each other, and what
else is read from the folder is read at import.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

from udfs.errors import StaleCode

PACKAGES: Final = ("configs", "feature_dist", "jobs", "udfs")

ROOT: Final = Path(__file__).resolve().parent.parent.parent
"""The folder that holds the packages, wherever they were shipped to."""


def digest_of(root: Path) -> str:
    """Give the digest of the code below a folder.

    Args:
        root: The folder that holds `PACKAGES`.

    Returns:
        First 16 hex digits of SHA-256 over the paths and contents of all ``.py`` and
        ``.json`` files of the packages.
    """
    whole = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".json") and path.is_file():
                whole.update(path.relative_to(root).as_posix().encode() + b"\0")
                whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


DIGEST: Final = digest_of(ROOT)


def code_root() -> Path:
    """Give a folder with the packages that is there now, for a child process.

    `ROOT` may be gone: it belonged to the job that imported the modules first.

    Raises:
        StaleCode: No folder on the path holds the packages any more.
    """
    for entry in (str(ROOT), *sys.path):
        if entry and (Path(entry) / "udfs" / "runtime" / "shipped.py").is_file():
            return Path(entry)
    raise StaleCode(
        f"the shipped packages are neither in {ROOT} nor on the path any more: start fresh "
        "TaskManagers and submit again"
    )


def refuse_stale_code(shipped: str) -> None:
    """Compare what this process imported with what the driver shipped.

    Args:
        shipped: The driver's `DIGEST`.

    Raises:
        StaleCode: They differ.
    """
    if shipped != DIGEST:
        raise StaleCode(
            f"this worker runs code {DIGEST}, the driver shipped {shipped} (imported from {ROOT}, "
            f"Python {sys.version.split()[0]}): a TaskManager in thread mode keeps the modules of "
            "the first job. Start fresh TaskManagers and submit again, or use application mode"
        )
