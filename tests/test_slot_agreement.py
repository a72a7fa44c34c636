"""Agreement of descriptions with what was measured, against scikit-learn and known answers."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipeline.descriptions.agreement import ALL, most_frequent, slot_agreement
from pipeline.descriptions.slots import NUM_LEVELS, SLOTS
from pipeline.errors import ShapeError
from stages.grammars import read_grammar

ENGLISH = read_grammar("")


def some_levels(num: int, seed: int) -> list[dict[str, int]]:
    draws = np.random.default_rng(seed).integers(0, NUM_LEVELS, (num, len(SLOTS)))
    return [dict(zip(SLOTS, map(int, draw), strict=True)) for draw in draws]


def sentences(levels: list[dict[str, int]]) -> list[str]:
    return [ENGLISH.sentence(one, f"clip {i}") for i, one in enumerate(levels)]


def test_accuracy_and_f1_are_scikit_learn_s() -> None:
    measured, said = some_levels(60, 0), some_levels(60, 1)
    table = slot_agreement(sentences(said), measured, ENGLISH).set_index("slot")
    for slot in SLOTS:
        truth, told = [one[slot] for one in measured], [one[slot] for one in said]
        assert table.loc[slot, "accuracy"] == pytest.approx(accuracy_score(truth, told))
        assert table.loc[slot, "macro_f1"] == pytest.approx(f1_score(truth, told, average="macro"))
    assert table.loc[ALL, "accuracy"] == pytest.approx(table["accuracy"].iloc[:-1].mean())
    assert (table["said"] == 1).all()
    assert (table["clips"] == 60).all()


def test_what_the_grammar_makes_of_the_levels_is_the_ceiling() -> None:
    measured = some_levels(20, 2)
    table = slot_agreement(sentences(measured), measured, ENGLISH)
    assert (table[["said", "accuracy", "macro_f1"]] == 1).all(axis=None)


def test_the_most_frequent_description_knows_each_slot_s_commonest_level() -> None:
    measured = [{"pitch": 3, "speed": 1}, {"pitch": 3}, {"pitch": 0}, {"speed": 0}, {}]
    common = most_frequent(measured)
    assert common == {"pitch": 3, "speed": 0}
    text = ENGLISH.sentence(common, "any")
    table = slot_agreement([text] * 5, measured, ENGLISH).set_index("slot")
    assert table.loc["pitch", ["clips", "accuracy"]].tolist() == [3, pytest.approx(2 / 3)]
    assert table.loc["pitch", "macro_f1"] == pytest.approx((2 * 2 / 5 + 0) / 2)
    assert table.loc["speed", "accuracy"] == 0.5
    assert list(table.index) == ["pitch", "speed", ALL]
    assert most_frequent([]) == {}


def test_a_text_that_says_nothing_of_a_slot_is_wrong_there() -> None:
    measured = [{"energy": 4}, {"energy": 4}]
    table = slot_agreement(["A very loud voice.", "Something else."], measured, ENGLISH)
    assert table.loc[0, ["said", "accuracy"]].tolist() == [0.5, 0.5]
    assert table.loc[0, "macro_f1"] == pytest.approx(2 / 3)


def test_nothing_measured_gives_an_empty_table_and_other_lengths_are_refused() -> None:
    assert slot_agreement(["A loud voice."], [{}], ENGLISH).empty
    with pytest.raises(ShapeError, match="found 1 texts for 2 clips"):
        slot_agreement([""], [{}, {}], ENGLISH)
