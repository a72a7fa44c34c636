"""What a training is made to cope with: who is changed, and that nobody else is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chance import seed_of, share_of
from pipeline.errors import ManifestError, ParamsError
from pipeline.experiments.conditions import Condition, conditions_of, shown_rows, under
from pipeline.manifests.labels import LabelMap, class_names
from pipeline.manifests.manifest import Manifest

RAW = ("anger", "calm", "neutral", "sad")
MAP = LabelMap(
    classes=("angry", "neutral", "sad"), mapping={"anger": "angry", "calm": "neutral"}, drop=()
)


def manifest(num: int = 240) -> Manifest:
    """Twelve speakers, eight of them in train, two each in dev and test."""
    speakers = np.arange(num) % 12
    parts = np.array(["train"] * 8 + ["dev"] * 2 + ["test"] * 2)
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{i}" for i in range(num)],
            "corpus": "made",
            "speaker": [f"s{one}" for one in speakers],
            "split": parts[speakers],
            "emotion": [RAW[(i // 12) % 4] for i in range(num)],
        }
    )
    return Manifest(Path("made.csv"), table, 2)


def changed(condition: Condition, seed: int = 0) -> Manifest:
    return under(condition, manifest(), task="emotion", label_map=MAP, seed=seed)


def noisy_ids(share: float, seed: int = 0) -> set[str]:
    before = class_names(manifest(), "emotion", MAP)
    after = class_names(changed(Condition(label_noise=share), seed), "emotion", MAP)
    return set(manifest().table["utterance_id"][before != after])


def test_nothing_changes_nothing():
    assert changed(Condition()).table.equals(manifest().table)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_exactly_the_share_of_training_labels_is_another_class(share):
    table, found = manifest().table, noisy_ids(share)
    assert len(found) == round(share * 160)
    assert set(table.set_index("utterance_id").loc[sorted(found), "split"]) == {"train"}
    after = changed(Condition(label_noise=share)).table
    pd.testing.assert_frame_equal(after.drop(columns="emotion"), table.drop(columns="emotion"))


def test_noise_is_nested_and_its_seed_draws_others():
    assert noisy_ids(0.2) < noisy_ids(0.4)
    assert noisy_ids(0.2) == noisy_ids(0.2)
    assert noisy_ids(0.2) != noisy_ids(0.2, seed=1)


def test_a_wrong_label_is_any_other_class():
    before = class_names(manifest(), "emotion", MAP)
    after = class_names(changed(Condition(label_noise=0.9)), "emotion", MAP)
    drawn = set(zip(before[before != after], after[before != after], strict=True))
    assert drawn == {(a, b) for a in MAP.classes for b in MAP.classes if a != b}


def test_a_wrong_number_is_the_label_of_another_training_clip_with_another_number():
    whole = manifest()
    told = np.where(whole.table["split"] == "train", np.arange(240) // 12 % 7, 100).astype(str)
    # "high" is told by the map, and 6.0 is 6.
    told[told == "5"], told[::5][told[::5] == "6"] = "high", "6.0"
    numbers = LabelMap(numbers=True, mapping={"high": "5"}, drop=("0",))
    before = replace(whole, table=whole.table.assign(emotion=told))
    values = class_names(before, "emotion", numbers).replace("", "nan").astype(float)

    def noisy(share: float, table: pd.DataFrame = before.table) -> pd.Series:
        condition, seen = Condition(label_noise=share), replace(before, table=table)
        found = under(condition, seen, task="emotion", label_map=numbers, seed=0).table
        assert found.drop(columns="emotion").equals(table.drop(columns="emotion"))
        return found.set_index("utterance_id")["emotion"]

    trained = ((whole.table["split"] == "train") & values.notna()).to_numpy()
    wrong = {}
    for share in (0.2, 0.9):
        after = class_names(
            replace(before, table=before.table.assign(emotion=noisy(share).to_numpy())),
            "emotion",
            numbers,
        )
        changed_rows = (after.replace("", "nan").astype(float) != values) & values.notna()
        assert changed_rows.sum() == round(share * trained.sum())
        assert not (changed_rows & ~trained).any()
        wrong[share] = set(np.flatnonzero(changed_rows))
        assert set(noisy(share)) <= set(told)
    assert wrong[0.2] < wrong[0.9]
    # Who is changed, and to what, does not depend on the order of rows.
    turned = before.table.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_series_equal(noisy(0.9, turned)[::-1], noisy(0.9))


def test_few_speakers_are_nested_and_dev_and_test_keep_theirs():
    kept = {}
    for wanted in (2, 4, 8):
        table = changed(Condition(train_speakers=wanted)).table
        kept[wanted] = set(table["speaker"][table["split"] == "train"])
        assert len(kept[wanted]) == wanted
        for part in ("dev", "test"):
            mine = table["split"] == part
            assert mine.equals(manifest().table["split"] == part)
    assert kept[2] < kept[4] < kept[8]
    others = changed(Condition(train_speakers=4), seed=1).table
    assert set(others["speaker"][others["split"] == "train"]) != kept[4]
    with pytest.raises(ManifestError, match="has 8 training speakers, wanted 9"):
        changed(Condition(train_speakers=9))


def test_a_class_is_left_out_of_training_and_dev_and_stays_in_test():
    table = changed(Condition(new_class="neutral", shots=1)).table
    whole = manifest().table
    hidden = whole["emotion"].isin(["calm", "neutral"]) & (whole["split"] != "test")
    assert (table["emotion"][hidden] == "").all()
    assert table["emotion"][~hidden].equals(whole["emotion"][~hidden])
    with pytest.raises(ManifestError, match=r"have no class 'bored' of 'emotion', only \['angry'"):
        changed(Condition(new_class="bored", shots=1))


def test_shown_clips_are_training_clips_of_the_class_and_nested():
    names = class_names(manifest(), "emotion", MAP).tolist()
    usable = np.ones(240, dtype=bool)
    usable[:12] = False
    rows = {
        shots: shown_rows(Condition(new_class="sad", shots=shots), manifest(), usable, names, 0)
        for shots in (1, 5, 10)
    }
    assert [len(found) for found in rows.values()] == [1, 5, 10]
    assert rows[10][:5].tolist() == rows[5].tolist()
    table = manifest().table.iloc[rows[10]]
    assert set(table["emotion"]) == {"sad"}
    assert set(table["split"]) == {"train"}
    with pytest.raises(ManifestError, match=r"40 training rows of class 'sad' have features"):
        shown_rows(Condition(new_class="sad", shots=41), manifest(), usable, names, 0)


def test_conditions_are_levels_of_each_thing_and_nothing_first():
    found = conditions_of([0.2, 0.4], [2], "sad", [1, 5])
    assert [one.named("genser") for one in found] == [
        "genser",
        "genser-noise0.2",
        "genser-noise0.4",
        "genser-speakers2",
        "genser-new1",
        "genser-new5",
    ]
    assert conditions_of([], [], "", [1, 5]) == [Condition()]
    assert Condition(new_class="sad", shots=5).in_training == Condition(new_class="sad", shots=1)


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        (([0.4, 0.2], [], "", []), r"label noise: found \[0\.4, 0\.2\], wanted rising levels"),
        (([1.0], [], "", []), r"label noise: 1\.0 is not from 0 to below 1"),
        (([], [0], "", []), r"training speakers: found \[0\]"),
        (([], [], "sad", [0, 1]), r"shots: found \[0, 1\]"),
    ],
)
def test_levels_that_mean_nothing_are_refused(levels, named):
    with pytest.raises(ParamsError, match=named):
        conditions_of(*levels)


@given(st.text(), st.integers(0, 2**31))
def test_chance_is_a_function_of_names_and_in_its_range(name, number):
    assert seed_of(name, number) == seed_of(name, number)
    assert 0 <= seed_of(name, number) < 2**63
    assert 0 <= share_of(name, number) < 1
    assert seed_of(name, number) != seed_of(name, number + 1)
    assert seed_of("a", "b") != seed_of("ab")


def test_shares_are_uniform():
    found = np.sort([share_of("u", i) for i in range(2000)])
    assert np.abs(found - np.arange(2000) / 2000).max() < 0.04
