"""One model for all tests of this folder: TensorFlow takes seconds to import and convert."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.udfs.scoring.models import Published, network, write_source


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A published version; not to be changed."""
    path = tmp_path_factory.mktemp("published")
    return Published(path, write_source(path / "source", network()))


@pytest.fixture
def directory(published: Published, tmp_path: Path) -> Path:
    """The files of that version, a copy that may be damaged."""
    path = tmp_path / "model"
    shutil.copytree(published.directory, path)
    return path
