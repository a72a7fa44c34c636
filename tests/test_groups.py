"""Systems on groups of clips: scores, intervals, and the gap between best and worst."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.cluster_draws import NUM_DRAWS, draws_of_clusters
from pipeline.evaluation.groups import grouping, groupings_of
from pipeline.evaluation.number_standings import number_standing
from pipeline.evaluation.standings import standing
from pipeline.report.groups import group_entries, group_sections

CLASSES = ["angry", "calm", "sad"]


def table(num: int = 360, *, speakers: int = 12, worse: float = 0.5) -> pd.DataFrame:
    """Clips of speakers of two genders, those of men recognised less often."""
    generator = np.random.default_rng(0)
    speaker = np.arange(num) % speakers
    gender = np.where(speaker % 2 == 0, "female", "male")
    labels = generator.integers(0, 3, num)
    right = generator.random(num) < np.where(gender == "female", 0.8, worse)
    predicted = np.where(right, labels, (labels + 1) % 3)
    return pd.DataFrame(
        {
            "system": "one",
            "fold": "",
            "seed": 0,
            "utterance_id": [f"u{i}" for i in range(num)],
            "corpus": "c",
            "speaker": [f"s{i:02d}" for i in speaker],
            "dialogue": "",
            "gender": gender,
            "label": [CLASSES[i] for i in labels],
            "predicted": [CLASSES[i] for i in predicted],
        }
    )


def test_a_group_s_scores_are_those_of_its_rows_alone() -> None:
    rows = table()
    found = grouping(rows, CLASSES, "gender", cluster="speaker")
    assert [group.name for group in found.groups] == ["female", "male"]
    for group in found.groups:
        alone = standing(rows[rows["gender"] == group.name], CLASSES, cluster="speaker")
        assert group.scores == alone.scores
        assert (group.num_clips, group.num_clusters) == (180, 6)


def test_the_gap_is_that_of_both_groups_in_the_same_draws() -> None:
    rows = table()
    rows.loc[rows.index[::5], "gender"] = "male"  # some clips of women too: they are paired
    found = grouping(rows, CLASSES, "gender", cluster="speaker").gaps["wa"]
    right = (rows["label"] == rows["predicted"]).astype(int)
    names = sorted(set(rows["speaker"]))
    values = {}
    for name in ("female", "male"):
        of_group = right[rows["gender"] == name].groupby(rows["speaker"])
        sums = of_group.agg(["sum", "size"]).reindex(names, fill_value=0).to_numpy()
        drawn = np.concatenate([w @ sums for w in draws_of_clusters(len(names), 0)])
        with np.errstate(invalid="ignore"):  # a draw may have nobody of a group
            values[name] = (sums[:, 0].sum() / sums[:, 1].sum(), drawn[:, 0] / drawn[:, 1])
    assert (found.best, found.worst) == ("female", "male")
    difference = values["female"][1] - values["male"][1]
    assert len(difference) == NUM_DRAWS
    assert found.difference.value == pytest.approx(values["female"][0] - values["male"][0])
    ends = np.nanquantile(difference, [0.025, 0.975])
    assert [found.difference.low, found.difference.high] == pytest.approx(ends.tolist())
    assert found.difference.num_clusters == 12


def numbers() -> pd.DataFrame:
    """Clips with numbers, those of men told with a larger error."""
    rows = table()
    draw = np.random.default_rng(1)
    labels = draw.uniform(1, 7, len(rows))
    spread = np.where(rows["gender"] == "female", 0.5, 2.0)
    return rows.assign(label=labels, predicted=labels + draw.normal(size=len(rows)) * spread)


def test_numbers_have_groups_and_gaps_too() -> None:
    rows = numbers()
    rows.loc[rows.index[::5], "gender"] = "male"
    (found,) = groupings_of(rows, None, cluster="speaker")
    assert found.measures == ("ccc", "pearson", "rmse")
    for group in found.groups:
        alone = number_standing(rows[rows["gender"] == group.name], cluster="speaker")
        for name, score in alone.scores.items():
            told = group.scores[name]
            assert (told.value, told.low, told.high) == pytest.approx(
                (score.value, score.low, score.high)
            )
    for score in ("ccc", "rmse"):
        gap = found.gaps[score]
        assert (gap.best, gap.worst) == ("female", "male")
        assert 0 < gap.difference.low < gap.difference.value < gap.difference.high
    female, male = (group.scores["rmse"].value for group in found.groups)
    assert found.gaps["rmse"].difference.value == pytest.approx(male - female)
    (section,) = group_sections([found], cluster="speaker")
    shown = section.tables[0].frame
    assert {"CCC", "Pearson", "RMSE"} < set(shown)
    assert shown["RMSE"].iloc[-1].endswith("(female over male)")
    assert group_entries([found])["gender"]["gap"]["rmse"]["worst"] == "male"


def test_a_gap_between_equals_is_not_shown_and_a_wide_one_is() -> None:
    alike = grouping(table(worse=0.8), CLASSES, "gender", cluster="speaker").gaps["ua"].difference
    apart = grouping(table(worse=0.3), CLASSES, "gender", cluster="speaker").gaps["ua"].difference
    assert alike.low < 0 < alike.value
    assert apart.low > 0.2


def test_small_groups_are_said_and_are_in_no_gap() -> None:
    rows = table()
    rows["language"] = np.where(rows["speaker"].isin(["s00", "s01"]), "en", "de")
    rows.loc[0, "language"] = ""
    (gender, language) = groupings_of(rows, CLASSES, cluster="speaker")
    assert [group.is_small for group in language.groups] == [False, True]
    assert (language.gaps, language.num_untold) == ({}, 1)
    (section,) = group_sections([gender, language], cluster="speaker")
    shown = section.tables[1].frame
    assert shown["language"].tolist() == ["de", "en", "gap"]
    assert shown["note"][1] == "too small for the gap (below 20 clips or 3 resampled)"
    assert shown["note"][2] == "fewer than two groups are large enough"
    caption = section.tables[1].caption
    assert "1 clips do not tell theirs and are in none. Fewer than 10" in caption
    entries = group_entries([gender, language])
    assert entries["gender"]["gap"]["ua"]["best"] == "female"
    assert entries["language"]["groups"]["en"]["is_small"]


def test_a_class_that_a_group_lacks_is_noted() -> None:
    rows = table()
    rows = rows[(rows["gender"] == "female") | (rows["label"] != "sad")]
    found = grouping(rows, CLASSES, "gender", cluster="speaker")
    assert [group.lacking for group in found.groups] == [(), ("sad",)]


def test_what_tells_nothing_apart_or_is_the_task_makes_no_groups(tmp_path: Path) -> None:
    assert groupings_of(table(), CLASSES, cluster="speaker", without="gender") == []
    assert group_sections([], cluster="speaker") == []
