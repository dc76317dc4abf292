"""What a program needs beside its text: tables and models, loaded on this worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from udfs.features.lookup import Source
from udfs.scoring.inputs import Inputs


class Scorer(Protocol):
    """One version of a model, loaded."""

    @property
    def version(self) -> int:
        """Which one."""

    @property
    def inputs(self) -> Inputs:
        """What it reads."""

    def score(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Score rows of features.

        Returns:
            A number or a list of numbers for each row, None where one of them is not finite.
        """


class Resources(msgspec.Struct, frozen=True):
    """Tables and models by name; a worker drops them when no program uses them."""

    tables: Mapping[str, Source] = {}
    models: Mapping[str, Scorer] = {}
