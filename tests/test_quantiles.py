"""Levels by quantiles of training clips of the same speaker, gender or corpus."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.descriptions.config import DescribeConfig
from pipeline.descriptions.quantiles import Fit, fit_quantiles
from pipeline.errors import ManifestError, ParamsError

SLOTS = ["pitch", "energy"]


def clips(*groups: tuple[str, str, str, str, int]) -> pd.DataFrame:
    """Return a manifest's columns: corpus, gender, speaker, split and how many clips of each."""
    rows = [group[:4] for group in groups for _ in range(group[4])]
    table = pd.DataFrame(rows, columns=["corpus", "gender", "speaker", "split"])
    return table.assign(utterance_id=[f"u{i:03}" for i in range(len(rows))])


def numbers(num: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).standard_normal((num, len(SLOTS)))
    return pd.DataFrame(values, columns=SLOTS)


def fitted(table: pd.DataFrame, values: pd.DataFrame, **config: Any) -> Fit:
    return fit_quantiles("m.csv", values, table, DescribeConfig(**config))


FOUR = clips(
    ("one", "female", "a", "train", 20),
    ("one", "female", "b", "train", 3),
    ("one", "male", "c", "train", 6),
    ("two", "female", "d", "train", 12),
    ("one", "female", "e", "test", 10),
    ("three", "", "f", "dev", 5),
    ("two", "", "", "test", 2),
)


def test_a_level_is_how_many_of_the_quantiles_lie_below() -> None:
    values = numbers(len(FOUR))
    levels, against = fitted(FOUR, values).levels(values, FOUR)
    groups = {
        "speaker": lambda row: FOUR["speaker"] == row.speaker,
        "gender": lambda row: (FOUR["corpus"] == row.corpus) & (FOUR["gender"] == row.gender),
        "corpus": lambda row: FOUR["corpus"] == row.corpus,
        "all": lambda row: FOUR["corpus"] != "",
    }
    for i, row in enumerate(FOUR.itertuples()):
        mine = values[groups[against[i]](row) & (FOUR["split"] == "train")]
        for slot in SLOTS:
            below = [(mine[slot].quantile(q) < values.loc[i, slot]) for q in (0.1, 0.3, 0.7, 0.9)]
            assert levels[i][slot] == sum(below)


def test_each_clip_is_held_against_the_closest_that_are_enough() -> None:
    values = numbers(len(FOUR))
    _, against = fitted(FOUR, values).levels(values, FOUR)
    told = FOUR.assign(against=against).groupby(["corpus", "speaker"])["against"].unique()
    assert {key: list(kinds) for key, kinds in told.items()} == {
        ("one", "a"): ["speaker"],
        ("one", "b"): ["gender"],  # three clips
        ("one", "c"): ["corpus"],  # six men's
        ("two", "d"): ["speaker"],
        ("one", "e"): ["gender"],  # not in train
        ("three", "f"): ["all"],
        ("two", ""): ["corpus"],
    }
    for kind, wanted in (("gender", {"gender", "corpus", "all"}), ("corpus", {"corpus", "all"})):
        _, against = fitted(FOUR, values, against=kind).levels(values, FOUR)
        assert set(against) == wanted


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_cuts_come_from_train_alone(seed: int, other: int) -> None:
    values = numbers(len(FOUR), seed)
    changed = values.where(FOUR["split"] == "train", numbers(len(FOUR), other))
    assert fitted(FOUR, values) == fitted(FOUR, changed)
    ids = set(fitted(FOUR, values).ids)
    assert ids == set(FOUR.loc[FOUR["split"] == "train", "utterance_id"])


@given(st.integers(0, 2**32 - 1), st.integers(-20, 20))
@settings(max_examples=25)
def test_levels_rise_with_the_number_and_know_no_unit(seed: int, power: int) -> None:
    values = numbers(len(FOUR), seed)
    levels, _ = fitted(FOUR, values).levels(values, FOUR)
    of_a = pd.DataFrame(levels).loc[FOUR["speaker"] == "a", "pitch"]
    order = values.loc[of_a.index, "pitch"].argsort()
    assert of_a.to_numpy()[order].tolist() == sorted(of_a)
    # A power of two rounds nothing.
    other = values * 2.0**power
    assert fitted(FOUR, other).levels(other, FOUR)[0] == levels


def test_a_slot_without_a_number_or_without_a_difference_has_no_level() -> None:
    values = numbers(len(FOUR)).assign(energy=1.0)
    values.loc[0, "pitch"] = np.nan
    fit = fitted(FOUR, values)
    levels, against = fit.levels(values, FOUR)
    assert levels[0] == {}
    assert against[0] == ""
    assert all(set(one) == {"pitch"} for one in levels[1:])
    values.loc[FOUR["speaker"] == "a", "energy"] = np.arange(20.0)
    values.loc[FOUR["speaker"] == "d", "energy"] = 7.0
    levels, _ = fitted(FOUR, values).levels(values, FOUR)
    # Speaker d's never differ: they are held against more.
    assert {one["energy"] for one, name in zip(levels, FOUR["speaker"], strict=True) if name == "d"}


def test_a_number_that_equals_a_cut_is_below_it() -> None:
    table = clips(("one", "", "a", "train", 10))
    values = pd.DataFrame({"pitch": [0.0] * 8 + [1.0, 2.0]})
    levels, _ = fitted(table, values).levels(values, table)
    assert [one["pitch"] for one in levels] == [0] * 8 + [3, 4]


def test_a_fit_is_read_from_its_record() -> None:
    fit = fitted(FOUR, numbers(len(FOUR)))
    assert Fit.from_record(fit.record) == fit


def test_too_few_training_clips_are_refused() -> None:
    table = clips(("one", "", "a", "train", 7), ("one", "", "b", "test", 9))
    with pytest.raises(ManifestError, match=r"m\.csv: 7 training clips .*wanted 8"):
        fitted(table, numbers(16))
    fitted(table, numbers(16), least_clips=7)


def test_settings_that_tell_no_five_levels_are_refused() -> None:
    for wrong in ((0.1, 0.3, 0.7), (0.3, 0.1, 0.7, 0.9), (0.0, 0.3, 0.7, 0.9)):
        with pytest.raises(ParamsError, match=r"describe\.quantiles: found \["):
            DescribeConfig(quantiles=wrong)
    with pytest.raises(ParamsError, match=r"describe\.against: found 'age', wanted one of"):
        DescribeConfig(against="age")
    with pytest.raises(ParamsError, match=r"describe\.least_clips: found 4"):
        DescribeConfig(least_clips=4)
    with pytest.raises(ParamsError, match=r"describe\.max_duration_s: found 0"):
        DescribeConfig(max_duration_s=0.0)
