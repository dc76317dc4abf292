"""The example that trains the demo's model, but for the training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stack.demo.traffic import CATEGORIES
from tests.stack.demo.scoring import spec_of, training
from udfs.scoring.inputs import read_inputs
from udfs.scoring.packing import bucket_of

FEATURES = training().FEATURES


def test_features_are_those_of_the_tables() -> None:
    """Each is a column of an example table or the logged aggregate, of the same width."""
    inputs = read_inputs(FEATURES)
    for each in inputs.inputs:
        for feature in each.features:
            table, _, name = feature.feature.rpartition(".")
            if not table:
                assert name == "views_1m"
                continue
            (column,) = [c for c in spec_of(table).columns if c.name == name]
            assert ("[" in column.type) == (feature.width > 1)
            assert (column.type == "string") == (feature.buckets is not None)
    assert inputs.widths == {"numbers": 6, "affinity": len(CATEGORIES), "category": 1}


def test_no_two_categories_share_an_id() -> None:
    """So that the model can tell them apart."""
    assert len({bucket_of(name, training().BUCKETS) for name in CATEGORIES}) == len(CATEGORIES)


def test_offers_are_joined_as_in_the_job() -> None:
    """Columns by their names; who is not known has nulls, and gives tensors nevertheless."""
    click = {"user_id": "u", "sku": "x", "views_1m": 3, "clicked": 1}
    user = {"age_band": 2, "lifetime_spend": 9.5, "visits": 4, "affinity": [0.5, 0.5, 0, 0, 0, 0]}
    item = {"category": "toys", "price": 20.0, "popularity": 1.0}
    rows, clicked = training().joined(
        [click, {**click, "user_id": "?", "sku": "?", "clicked": 0}], {"u": user}, {"x": item}
    )
    assert clicked == [1, 0]
    assert rows[0] == {
        "user.age_band": 2, "user.lifetime_spend": 9.5, "user.visits": 4, "item.price": 20.0,
        "item.popularity": 1.0, "views_1m": 3, "user.affinity": [0.5, 0.5, 0, 0, 0, 0],
        "item.category": "toys",
    }  # fmt: skip
    assert {name for name, value in rows[1].items() if value is not None} == {"views_1m"}
    json.dumps(rows)
    numbers, affinity, _ = read_inputs(FEATURES).tensors(rows)
    assert numbers.tolist()[1] == [3, 0, 0, 55, 0, 3]
    assert affinity[1].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "value"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 1, 1, 1], 0.5), ([1, 3, 2, 4], 0.75)],
)
def test_auc(scores: list[int], value: float) -> None:
    """Share of pairs in the right order; equal scores are half in order."""
    assert training().auc(np.array(scores), np.array([0, 0, 1, 1])) == value
