"""Whether what a model reads is what the tables hold."""

from __future__ import annotations

from collections.abc import Iterator

from udfs.features.names import Catalogue, Column
from udfs.scoring.inputs import Inputs, read_inputs
from udfs.scoring.packing import Feature
from udfs.scoring.pointer import ModelPointer


def inputs_of(pointer: ModelPointer) -> Inputs:
    """Give the inputs of a model whose pointer is completed.

    Raises:
        ConfigInvalid: They are no inputs.
    """
    return read_inputs({"model": pointer.model, "inputs": pointer.inputs}, "models")


def misfits(inputs: Inputs, catalogue: Catalogue) -> Iterator[str]:
    """Give what keeps a model from reading columns, in words.

    Args:
        inputs: Of the model.
        catalogue: With the tables; names that it does not know are somebody else's business.
    """
    for each in inputs.inputs:
        for feature in each.features:
            try:
                found = catalogue.find(feature.feature)
            except ValueError:
                continue
            problem = _misfit(feature, catalogue, *found) if isinstance(found, Column) else None
            if problem:
                yield f"{inputs.model!r} reads {feature.feature!r}: {problem}"


def _misfit(feature: Feature, catalogue: Catalogue, table: str, column: str) -> str | None:
    found = next(each for each in catalogue.tables[table].columns if each.name == column)
    if found.is_text and feature.buckets is None:
        return "a string, and the model does not hash it"
    if found.width != feature.width:
        return f"it has {found.width} numbers, the model wants {feature.width}"
    return None
