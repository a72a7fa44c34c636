import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ManifestError
from pipeline.manifests.leaks import Leaks, find_leaks, require_no_leaks
from pipeline.manifests.manifest import DECLARED


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["corpus", "speaker", "split"])


def naive_shared_speakers(rows: pd.DataFrame) -> set[tuple[str, str]]:
    splits: dict[tuple[str, str], set[str]] = {}
    for corpus, speaker, split in rows[["corpus", "speaker", "split"]].itertuples(index=False):
        if speaker and split:
            splits.setdefault((corpus, speaker), set()).add(split)
    return {pair for pair, found in splits.items() if len(found) > 1}


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
    assert leaks.counts() == {
        "shared_speakers": 0,
        "declared_speakers": 0,
        "shared_recordings": 0,
        "shared_audio": 1,
    }
    assert not find_leaks(rows, pd.Series(["", "", "y", "y"]))


def test_the_same_audio_twice_in_one_split_is_no_leak() -> None:
    rows = table(("c", "s", "train"), ("c", "t", "train"))
    assert not find_leaks(rows, pd.Series(["x", "x"]))


def test_leaks_are_refused_unless_allowed() -> None:
    speakers = Leaks(speakers=tuple(f"c/{i}" for i in range(5)), audio=("f" * 64,))
    message = r"m\.csv: 5 speakers are in more than one split, e\.g\. 'c/0', 'c/1', 'c/2'; mend"
    with pytest.raises(ManifestError, match=message):
        require_no_leaks("m.csv", speakers, allowed=False)
    with pytest.raises(ManifestError, match=r"1 contents of clips are .* 'ffffffffffff'; mend"):
        require_no_leaks("m.csv", Leaks(audio=("f" * 64,)), allowed=False)
    require_no_leaks("m.csv", speakers, allowed=True)
    require_no_leaks("m.csv", Leaks(), allowed=False)


def declared(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """A corpus whose importer declares that its official split shares speakers."""
    columns = ["speaker", "split", "official"]
    return pd.DataFrame(rows, columns=columns).assign(corpus="meld", overlap=DECLARED)


def test_the_overlap_that_an_importer_declares_passes_and_is_counted() -> None:
    rows = declared(("Ross", "train", "train"), ("Ross", "test", "test"), ("Gunther", "dev", "dev"))
    leaks = find_leaks(rows)
    assert not leaks
    assert leaks.speakers == leaks.declared == ("meld/Ross",)
    assert leaks.counts()["shared_speakers"] == leaks.counts()["declared_speakers"] == 1
    assert leaks.sentences() == [
        "1 speakers are in more than one split, as the owners made it, e.g. 'meld/Ross'"
    ]
    require_no_leaks("m.csv", leaks, allowed=False)


def test_the_declaration_holds_for_the_owners_split_alone() -> None:
    rows = declared(("Ross", "train", "train"), ("Ross", "dev", "test"))
    leaks = find_leaks(rows)
    assert leaks
    assert leaks.undeclared == ("meld/Ross",)
    with pytest.raises(
        ManifestError, match=r"1 speakers are in more than one split, e\.g\. 'meld/R"
    ):
        require_no_leaks("m.csv", leaks, allowed=False)
    undeclared = rows.assign(split=rows["official"], overlap="")
    assert find_leaks(undeclared).undeclared == ("meld/Ross",)


def segments(*rows: tuple[str, str, float, float, int]) -> pd.DataFrame:
    columns = ["path", "split", "start", "end", "channel"]
    table = pd.DataFrame(rows, columns=columns).assign(corpus="c", speaker="")
    return table.assign(utterance_id=[f"u{i}" for i in range(len(table))])


def test_stretches_of_one_recording_that_overlap_over_splits_are_a_leak() -> None:
    nan = np.nan
    apart = segments(("a", "train", 0.0, 2.0, -1), ("a", "test", 2.0, 3.0, -1))
    assert find_leaks(apart).recordings == ()
    overlap = segments(("a", "train", 0.0, 2.0, -1), ("a", "test", 1.9, 3.0, -1))
    assert find_leaks(overlap).recordings == ("u1",)
    whole = segments(("a", "train", nan, nan, -1), ("a", "test", nan, nan, -1))
    assert find_leaks(whole).recordings == ("u1",)
    channels = segments(("a", "train", nan, nan, 1), ("a", "test", nan, nan, 2))
    assert find_leaks(channels).recordings == ()
    files = segments(("a", "train", nan, nan, 1), ("b", "test", nan, nan, 1))
    assert find_leaks(files).recordings == ()
    same = segments(("a", "train", 0.0, 2.0, 1), ("a", "train", 1.0, 3.0, 1))
    assert find_leaks(same).recordings == ()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["train", "dev", "test", ""]),
            st.integers(0, 6),
            st.integers(1, 4),
        ),
        max_size=10,
    )
)
def test_a_recording_leaks_when_two_splits_share_a_moment(
    rows: list[tuple[str, str, int, int]],
) -> None:
    table = segments(*((p, s, float(b), float(b + n), -1) for p, s, b, n in rows))
    moments: dict[tuple[str, int], set[str]] = {}
    for path, split, begin, length in rows:
        for moment in range(begin, begin + length) if split else ():
            moments.setdefault((path, moment), set()).add(split)
    leaking = any(len(splits) > 1 for splits in moments.values())
    assert bool(find_leaks(table)) == leaking
