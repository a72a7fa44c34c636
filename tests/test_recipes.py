"""Recipes differ by the names of their fields."""

import pytest

from helpers.shards import RECIPE
from pipeline.errors import FeatureStoreError
from pipeline.store.recipe import (
    differences,
    flatten,
    read_recipe,
    require_same_recipe,
    telling_differences,
)


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


def layers(family: str, **flags: object) -> dict[str, object]:
    encoder = {"family": family, "flags": flags, "weights": family[0] * 64}
    return {"source": "audio", "encoder": encoder, "layer_convention": family, "pooling": "mean"}


def test_of_another_encoder_only_what_it_is_is_told() -> None:
    hubert = layers("hubert", **{f"h{i}": i for i in range(20)})
    fbank = {**layers("fbank", bands=80, window=[1] * 99), "pooling": "mean_std"}
    assert telling_differences(hubert, fbank) == [
        "encoder.family is 'hubert', wanted 'fbank'",
        "pooling is 'mean', wanted 'mean_std'",
        "and 24 fields more",
    ]
    # The same of what a view is derived from.
    codes = [{"view": "codes", "parent": {"recipe": recipe}} for recipe in (hubert, fbank)]
    assert telling_differences(*codes)[0] == (
        "parent.recipe.encoder.family is 'hubert', wanted 'fbank'"
    )


def test_of_another_size_of_one_family_the_first_fields_are_told() -> None:
    small = layers("hubert", **{f"h{i}": i for i in range(20)})
    large = layers("hubert", **{f"h{i}": i + 1 for i in range(20)})
    large["encoder"] = {**large["encoder"], "weights": "w" * 64}
    told = telling_differences(small, large)
    assert told[0] == "encoder.weights is 'hhhhhhhhhhhh..., wanted 'wwwwwwwwwwww..."
    assert told[1] == "encoder.flags.h0 is 0, wanted 1"
    assert (len(told), told[-1]) == (7, "and 15 fields more")


def test_one_and_true_are_different_recipes() -> None:
    assert differences({"a": 1}, {"a": True}) == ["a is 1, wanted True"]


@pytest.mark.parametrize("number", ["1e999", "-Infinity", "NaN"])
def test_a_recipe_of_numbers_that_are_none_is_refused(number: str) -> None:
    recipe = f'{{"source": "audio", "encoder": {{"a": [{number}]}}}}'
    text = f'{{"fingerprint": "f", "recipe": {recipe}, "provenance": {{}}}}'
    with pytest.raises(FeatureStoreError, match=r"recipe\.json: recipe: holds a number that is "):
        read_recipe(text.encode(), "recipe.json")
