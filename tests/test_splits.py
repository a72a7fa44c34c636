import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ManifestError
from pipeline.manifests.coverage import lacking_sentences
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.splits import assign_splits, make_folds, official_split, with_splits

SPLITS = {"train", "dev", "test"}


@settings(max_examples=50, deadline=None)
@given(
    num_speakers=st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["female", "male", ""])),
        st.integers(3, 12),
        min_size=1,
    ),
    dev=st.floats(0.01, 0.98),
    rest=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_assigned_splits_share_no_speaker_and_each_gender_has_each_part(
    num_speakers: dict[tuple[str, str], int],
    dev: float,
    rest: float,
    seed: int,
    data: st.DataObject,
) -> None:
    rows = [
        {"corpus": corpus, "gender": gender, "speaker": f"{gender}{i}"}
        for (corpus, gender), count in num_speakers.items()
        for i in range(count)
        for _ in range(data.draw(st.integers(1, 2)))
    ]
    rows = data.draw(st.permutations(rows))
    found = pd.DataFrame(rows)
    found["split"] = assign_splits(
        found, dev_fraction=dev, test_fraction=(1 - dev) * rest, seed=seed
    )
    assert not find_leaks(found)
    for _, group in found.groupby(["corpus", "gender"]):
        assert set(group["split"]) == SPLITS


def test_parts_have_the_sizes_that_were_asked_for() -> None:
    rows = pd.DataFrame({"corpus": "c", "speaker": [f"{i:02d}" for i in range(24)]})
    split = assign_splits(rows, dev_fraction=1 / 6, test_fraction=1 / 4, seed=0)
    assert split.value_counts().to_dict() == {"train": 14, "test": 6, "dev": 4}


def test_the_assignment_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = pd.DataFrame({"corpus": "c", "speaker": [f"{i:02d}" for i in range(20)]})
    kind = {"dev_fraction": 0.25, "test_fraction": 0.25}
    first = assign_splits(rows, seed=1, **kind)
    assert first.equals(assign_splits(rows, seed=1, **kind))
    assert not first.equals(assign_splits(rows, seed=2, **kind))
    shuffled = rows.sample(frac=1, random_state=0)
    assert assign_splits(shuffled, seed=1, **kind).sort_index().equals(first)


def test_genders_with_too_few_speakers_are_dealt_out_together() -> None:
    rows = pd.DataFrame({"corpus": "c", "speaker": list("abcd"), "gender": ["f", "f", "m", "m"]})
    split = assign_splits(rows, dev_fraction=0.2, test_fraction=0.2, seed=0)
    assert split.value_counts().to_dict() == {"train": 2, "dev": 1, "test": 1}


def one_class_each(num_speakers: int = 30) -> pd.DataFrame:
    """Speakers of whom each has clips of one class only."""
    numbers = range(num_speakers)
    return pd.DataFrame(
        {
            "corpus": "c",
            "speaker": [f"{i:02d}" for i in numbers],
            "emotion": ["angry", "happy", "sad"] * (num_speakers // 3),
        }
    )


@pytest.mark.parametrize("seed", range(10))
def test_every_part_gets_every_class_where_a_deal_of_speakers_can(seed: int) -> None:
    rows = one_class_each()
    kind = {"dev_fraction": 1 / 6, "test_fraction": 1 / 4, "seed": seed}
    split = assign_splits(rows, rows["emotion"], **kind)
    assert split.value_counts().to_dict() == {"train": 17, "test": 8, "dev": 5}
    assert lacking_sentences(split, rows["emotion"]) == []
    assert split.equals(assign_splits(rows, rows["emotion"], **kind))
    # A deal that has every class already stays as it is.
    blind = assign_splits(rows, **kind)
    assert split.equals(blind) == (lacking_sentences(blind, rows["emotion"]) == [])


def test_a_class_of_one_speaker_costs_the_others_nothing() -> None:
    rows = one_class_each()
    rows.loc[0, "emotion"] = "odd"
    split = assign_splits(rows, rows["emotion"], dev_fraction=0.2, test_fraction=0.2, seed=3)
    others = rows["emotion"] != "odd"
    assert lacking_sentences(split[others], rows["emotion"][others]) == []


def test_what_a_part_lacks_is_said_by_class() -> None:
    split = pd.Series(["train"] * 3 + ["dev"] * 2 + ["test"])
    names = pd.Series(["sad", "angry", "calm", "sad", "", ""])
    assert lacking_sentences(split, names) == [
        "dev lacks angry, calm, which train has: scores on dev say nothing of that"
    ]


def test_too_few_speakers_are_refused() -> None:
    rows = pd.DataFrame({"corpus": "c", "speaker": list("ab"), "gender": "f"})
    message = "corpus 'c': 2 speakers, wanted at least 3 for train, dev and test without"
    with pytest.raises(ManifestError, match=message):
        assign_splits(rows, dev_fraction=0.2, test_fraction=0.2, seed=0)


def test_rows_without_a_speaker_get_no_split() -> None:
    rows = pd.DataFrame({"corpus": "c", "speaker": ["a", "", "b", "c"]})
    split = assign_splits(rows, dev_fraction=0.2, test_fraction=0.2, seed=0)
    assert split[1] == ""
    assert sorted(split.drop(1)) == ["dev", "test", "train"]


def corpora(*, speakers: int = 8, clips: int = 6) -> pd.DataFrame:
    """Two corpora whose speakers have the same names, three emotions each."""
    rows = [
        {
            "utterance_id": f"{corpus}{speaker}_{clip}",
            "corpus": corpus,
            "session": f"session{speaker // 2}",
            "speaker": f"s{speaker}",
            "emotion": ("angry", "calm", "sad")[clip % 3],
        }
        for corpus in ("a", "b")
        for speaker in range(speakers)
        for clip in range(clips)
    ]
    return pd.DataFrame(rows)


def folds_of(table: pd.DataFrame, *, by: str = "speaker", num_folds: int | None, seed: int = 0):
    return make_folds(
        table, table["emotion"], by=by, num_folds=num_folds, dev_fraction=1 / 6, seed=seed
    )


@settings(max_examples=25, deadline=None)
@given(
    speakers=st.integers(3, 9),
    num_folds=st.integers(2, 5),
    seed=st.integers(0, 100),
    order=st.randoms(use_true_random=False),
)
def test_every_row_is_tested_once_and_no_part_of_a_fold_shares_a_speaker(
    speakers: int, num_folds: int, seed: int, order
) -> None:
    table = corpora(speakers=speakers)
    folds = folds_of(table, num_folds=num_folds, seed=seed)
    assert list(folds.columns) == [f"split.{k}" for k in range(1, num_folds + 1)]
    assert ((folds.columns == "test").sum(axis=1) == 1).all()
    for name in folds.columns:
        of_fold = table.assign(split=folds.columns[name])
        assert set(of_fold["split"]) == SPLITS
        assert not find_leaks(of_fold)
    shuffled = table.sample(frac=1, random_state=order.randint(0, 99))
    again = folds_of(shuffled, num_folds=num_folds, seed=seed).columns.sort_index()
    assert again.equals(folds.columns)


def test_folds_are_balanced_by_class_and_depend_on_the_seed() -> None:
    table = corpora()
    folds = folds_of(table, num_folds=4)
    for name in folds.columns:
        tested = table[folds.columns[name] == "test"]
        assert tested["emotion"].value_counts().to_dict() == {"angry": 8, "calm": 8, "sad": 8}
    assert not folds_of(table, num_folds=4, seed=1).columns.equals(folds.columns)


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("corpus", [["a"], ["b"]]),
        ("session", [["session0"], ["session1"], ["session2"], ["session3"]]),
        ("speaker", [[f"{c}/s{i}"] for c in "ab" for i in range(8)]),
    ],
)
def test_one_group_at_a_time_is_left_out(by: str, wanted: list[list[str]]) -> None:
    table = corpora()
    folds = folds_of(table, by=by, num_folds=None)
    assert folds.tested == wanted
    for (name,), column in zip(wanted, folds.columns, strict=True):
        groups = table["corpus"] + "/" + table["speaker"] if by == "speaker" else table[by]
        assert ((folds.columns[column] == "test") == (groups == name)).all()
        assert not find_leaks(table.assign(split=folds.columns[column])).undeclared


def test_folds_of_a_rare_class_are_made_without_a_warning() -> None:
    table = corpora()
    table.loc[0, "emotion"] = "boredom"
    assert len(folds_of(table, num_folds=5).columns.columns) == 5


def test_folds_that_cannot_be_are_refused() -> None:
    table = corpora(speakers=2)
    with pytest.raises(ManifestError, match=r"4 groups by 'speaker' \(a/s0, a/s1, b/s0\), wanted"):
        folds_of(table, num_folds=5)
    with pytest.raises(ManifestError, match="found no column 'weather', only"):
        folds_of(table, by="weather", num_folds=2)
    nameless = table.assign(session="")
    with pytest.raises(ManifestError, match="24 of 24 rows have no session, wanted one in each"):
        folds_of(nameless, by="session", num_folds=2)
    alone = table[table["corpus"] == "a"]
    with pytest.raises(ManifestError, match="1 speakers are left to train on, wanted at least 2"):
        folds_of(alone, num_folds=2)
    few = corpora(speakers=3, clips=1).assign(emotion=list("abcdef"))
    with pytest.raises(ManifestError, match="4 folds: every class has fewer clips than that"):
        folds_of(few, num_folds=4)


def test_the_owners_split_gets_a_dev_part_of_its_own_speakers() -> None:
    table = corpora(speakers=4)
    table["official"] = np.where(table["corpus"] == "a", "train", "test")
    split = official_split(table, table["emotion"], dev_fraction=1 / 4, seed=0)
    found = table.assign(split=split)
    assert not find_leaks(found)
    assert found[found["corpus"] == "b"]["split"].unique().tolist() == ["test"]
    assert found[found["split"] == "dev"]["speaker"].nunique() == 1
    complete = table.assign(official=split)
    assert official_split(complete, table["emotion"], dev_fraction=0.5, seed=9).equals(
        split.rename("official")
    )
    with pytest.raises(ManifestError, match="the column 'official' is empty"):
        official_split(table.assign(official=""), table["emotion"], dev_fraction=0.5, seed=0)


def test_new_splits_replace_all_old_ones() -> None:
    table = corpora(speakers=3).assign(split="train")
    folds = folds_of(table, num_folds=3).columns
    folded = with_splits(table, folds)
    assert set(folded["split"]) == {""}
    assert [c for c in folded.columns if c.startswith("split.")] == list(folds)
    again = with_splits(folded, table[["split"]])
    assert list(again.columns) == list(table.columns)
    assert set(again["split"]) == {"train"}
