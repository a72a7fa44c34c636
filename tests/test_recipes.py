"""Recipes differ by the names of their fields."""

import pytest

from helpers.shards import RECIPE
from pipeline.errors import FeatureStoreError
from pipeline.store.recipe import differences, flatten, require_same_recipe


def test_recipes_differ_by_dotted_fields() -> None:
    other = {**RECIPE, "encoder": {"weights": "w", "flags": {"dim": 3, "norm": True}}}
    assert dict(flatten(RECIPE))["encoder.flags.dim"] == 2
    assert differences(RECIPE, RECIPE) == []
    assert differences(RECIPE, other) == [
        "encoder.flags.dim is 2, wanted 3",
        "encoder.flags.norm is 'nothing', wanted True",
    ]
    with pytest.raises(FeatureStoreError, match=r"here: encoder\.flags\.dim is 2, .*; do this\."):
        require_same_recipe("here", RECIPE, other, "do this")


def test_one_and_true_are_different_recipes() -> None:
    assert differences({"a": 1}, {"a": True}) == ["a is 1, wanted True"]
