"""Who wrote a manifest's texts, and which of them its corpus gives."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifests.manifest import read_manifest
from pipeline.manifests.texts import GOLD, given_texts, recognised, text_sources

A, B = "a@000000000000", "b@111111111111"
HEARD = st.none() | st.sampled_from(["", "one", "two"])


def table(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype="str")


def test_sources_are_of_rows_that_have_text() -> None:
    assert text_sources(table(utterance_id=["1"])) == ()
    assert text_sources(table(text=["", "hi"])) == (GOLD,)
    assert text_sources(table(text=["", "", ""], text_source=["", A, B])) == ()
    both = table(text=["hi", "ho", "he", "", "ha"], text_source=[B, "", A, "c@2", A])
    assert text_sources(both) == (GOLD, A, B)
    assert text_sources(both[both["text_source"] != ""]) == (A, B)


@given(st.lists(st.tuples(st.sampled_from(["", "hi", "ho"]), HEARD, HEARD), min_size=1))
def test_what_a_corpus_gives_is_given_after_any_number_of_recognisers(
    rows: list[tuple[str, str | None, str | None]],
) -> None:
    own = table(text=[row[0] for row in rows])
    first, second = (pd.Series([row[i] for row in rows], dtype="str") for i in (1, 2))
    once = recognised(own, first, A)
    twice = recognised(once, second, B)
    for made, texts, source in ((once, first, A), (twice, second, B)):
        assert given_texts(made).tolist() == own["text"].tolist()
        assert made["text"].tolist() == texts.fillna("").tolist()
        assert made["text_source"].tolist() == [source if ok else "" for ok in texts.notna()]
        assert ("text_given" in made) == own["text"].any()
    pd.testing.assert_frame_equal(twice, recognised(own, second, B))


def test_a_manifest_merged_of_given_and_recognised_texts_keeps_what_was_given() -> None:
    merged = table(
        text=["hi", "ho", "", "he"], text_source=["", A, "", A], text_given=["", "hey", "hm", ""]
    )
    assert given_texts(merged).tolist() == ["hi", "hey", "hm", ""]


def test_the_columns_are_no_tasks(tmp_path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("utterance_id,path,text,text_source,text_given,emotion\n1,a.wav,a,b,c,sad\n")
    assert read_manifest(path).tasks == ["emotion"]
