"""What runs a model: tensors in, scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

LITERT: Final = "litert"
SAVED_MODEL: Final = "savedmodel"
ENGINES: Final = (LITERT, SAVED_MODEL)

LITERT_FILE: Final = "model.tflite"
SAVED_MODEL_DIRECTORY: Final = "saved_model"


class Engine(Protocol):
    """A loaded model. For one thread at a time."""

    @property
    def name(self) -> str:
        """One of `ENGINES`."""

    @property
    def outputs(self) -> int:
        """How many numbers a row gets."""

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Score some rows. HOT.

        Args:
            inputs: One tensor ``(rows, width)`` of the declared type for each input, in the order
                of the model's inputs. No rows are allowed.

        Returns:
            ``(rows, outputs)``, the caller's own: a later call does not change it. A row's
            scores may differ in the last bits with the rows beside it.

        Raises:
            ValueError: Other tensors than the model has.
            ModelInvalid: The model failed on them, or is closed.
        """

    def close(self) -> None:
        """Give its memory back."""
