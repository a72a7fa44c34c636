import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ManifestError
from pipeline.splits import Leaks, assign_splits, find_leaks, require_no_leaks

SPLITS = {"train", "dev", "test"}


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["corpus", "speaker", "split"])


def naive_shared_speakers(rows: pd.DataFrame) -> set[tuple[str, str]]:
    splits: dict[tuple[str, str], set[str]] = {}
    for corpus, speaker, split in rows[["corpus", "speaker", "split"]].itertuples(index=False):
        if speaker and split:
            splits.setdefault((corpus, speaker), set()).add(split)
    return {pair for pair, found in splits.items() if len(found) > 1}


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
    assert not naive_shared_speakers(found)
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


def test_too_few_speakers_are_refused() -> None:
    rows = pd.DataFrame(
        {"corpus": "c", "speaker": list("abcde"), "gender": ["f", "f", "f", "m", "m"]}
    )
    message = "corpus 'c': 2 speakers of gender 'm', wanted at least 3 for train, dev and test"
    with pytest.raises(ManifestError, match=message):
        assign_splits(rows, dev_fraction=0.2, test_fraction=0.2, seed=0)


def test_a_speaker_in_two_splits_is_a_leak() -> None:
    rows = table(("c", "s", "train"), ("c", "s", "test"), ("c", "t", "dev"), ("", "u", "dev"))
    assert find_leaks(rows).speakers == ("c/s",)
    nameless = table(("", "u", "train"), ("", "u", "dev"))
    assert find_leaks(nameless).speakers == ("u",)


def test_a_speaker_is_the_pair_of_corpus_and_name() -> None:
    assert not find_leaks(table(("a", "s", "train"), ("b", "s", "test")))
    assert not find_leaks(table(("a/b", "s", "train"), ("a", "b/s", "test")))


def test_rows_without_a_speaker_or_a_split_are_passed_over() -> None:
    assert not find_leaks(table(("c", "", "train"), ("c", "", "test")))
    assert not find_leaks(table(("c", "s", "train"), ("c", "s", "")))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", ""]),
            st.sampled_from(["s", "t", "u", ""]),
            st.sampled_from(["train", "dev", "test", ""]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_leaks_are_those_of_a_plain_count(rows: list[tuple[str, str, str]]) -> None:
    wanted = naive_shared_speakers(table(*rows))
    found = find_leaks(table(*rows)).speakers
    assert list(found) == [f"{c}/{s}" if c else s for c, s in sorted(wanted)]


def test_the_same_audio_in_two_splits_is_a_leak() -> None:
    rows = table(("c", "s", "train"), ("c", "t", "test"), ("c", "u", "dev"), ("c", "v", ""))
    leaks = find_leaks(rows, pd.Series(["x", "x", "y", "y"]))
    assert leaks == Leaks(audio=("x",))
    assert leaks.counts() == {"shared_speakers": 0, "shared_audio": 1}
    assert not find_leaks(rows, pd.Series(["", "", "y", "y"]))


def test_the_same_audio_twice_in_one_split_is_no_leak() -> None:
    rows = table(("c", "s", "train"), ("c", "t", "train"))
    assert not find_leaks(rows, pd.Series(["x", "x"]))


def test_leaks_are_refused_unless_allowed() -> None:
    speakers = Leaks(speakers=tuple(f"c/{i}" for i in range(5)), audio=("f" * 64,))
    message = r"m\.csv: 5 speakers are in more than one split, e\.g\. 'c/0', 'c/1', 'c/2'; mend"
    with pytest.raises(ManifestError, match=message):
        require_no_leaks("m.csv", speakers, allowed=False)
    with pytest.raises(ManifestError, match=r"m\.csv: 1 clips are in more .* 'ffffffffffff'; mend"):
        require_no_leaks("m.csv", Leaks(audio=("f" * 64,)), allowed=False)
    require_no_leaks("m.csv", speakers, allowed=True)
    require_no_leaks("m.csv", Leaks(), allowed=False)
