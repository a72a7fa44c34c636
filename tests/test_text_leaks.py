"""What texts give away: counted by hand, and in an audit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands import genser
from pipeline.manifests.text_leaks import Finding, shared_texts, texts_table, within_texts

LONG = "We were on a break"


def table(*rows: tuple[str, str, str, str, str]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["split", "dialogue", "speaker", "emotion", "text"])
    ids = [f"u{i}" for i in range(len(found))]
    return found.assign(utterance_id=ids, path=ids, corpus="c")


ROWS = table(
    ("train", "d1", "Ross", "anger", LONG),
    ("train", "d1", "Ross", "joy", "Hi Ross."),
    ("test", "d1", "Rachel", "anger", "we WERE... on a break!"),
    ("test", "d2", "Rachel", "sadness", LONG),
    ("test", "d2", "Rachel", "joy", "Hi Ross."),
    ("dev", "d3", "Joey", "anger", "Why are you so angry, Joey?"),
    ("", "d2", "Joey", "", "I\N{RIGHT SINGLE QUOTATION MARK}m so happy for Rosson"),
)


def shared(rows: pd.DataFrame = ROWS) -> dict[str, Finding]:
    return {one.found: one for one in shared_texts(rows, rows["emotion"])}


def within(rows: pd.DataFrame = ROWS) -> dict[str, Finding]:
    return {one.found: one for one in within_texts(rows, rows["emotion"])}


def test_a_dialogue_in_two_parts_is_counted() -> None:
    found = shared()["dialogues have clips in more than one part"]
    assert (found.rows, found.of, found.example) == (1, 3, "'d1' in test and train")
    alone = ROWS.assign(dialogue="")
    assert "dialogues have clips in more than one part" not in shared(alone)


def test_a_text_of_train_is_found_in_test_whatever_its_case_and_stops() -> None:
    found = shared()["texts of 4 words or more in test are those of train clips"]
    # 'Hi Ross.' is too short to mean anything.
    assert (found.rows, found.of, found.same_label) == (2, 2, 1)
    assert found.example == "u2 ('we WERE... on a break!', anger)"
    dev = shared()["texts of 4 words or more in dev are those of train clips"]
    assert (dev.rows, dev.of, dev.same_label, dev.example) == (0, 1, 0, "")


def test_names_are_found_as_whole_words() -> None:
    found = within()
    named = found["texts name a speaker of their corpus"]
    assert (named.rows, named.of) == (3, 7)
    own = found["texts name the one who speaks"]
    assert (own.rows, own.example) == (2, "u1 ('Hi Ross.', joy)")


@pytest.mark.parametrize("speaker", ["03", "f03", "Ses01F", "anna", "R"])
def test_a_speaker_s_number_is_no_name(speaker: str) -> None:
    rows = ROWS.assign(speaker=speaker, text=f"It is {speaker} again today")
    assert "texts name the one who speaks" not in within(rows)


def test_words_for_a_class_are_found_in_other_forms() -> None:
    found = within()
    own = found["texts have a word for their own class"]
    assert (own.rows, own.of) == (1, 6)
    assert "angry" in own.example
    other = found["texts have a word for another class"]
    assert (other.rows, other.of) == (0, 6)
    rows = ROWS.assign(text="no joy, no sad songs")
    swapped = within(rows)
    assert swapped["texts have a word for their own class"].rows == 3
    assert swapped["texts have a word for another class"].rows == 6


def test_without_texts_there_is_nothing_to_say() -> None:
    bare = ROWS.drop(columns=["text", "dialogue"])
    assert shared_texts(bare, bare["emotion"]) == []
    assert within_texts(bare, bare["emotion"]) == []
    assert texts_table({"": []}).empty


def test_corpora_are_counted_apart() -> None:
    other = ROWS.assign(corpus="d", split=ROWS["split"].replace({"train": ""}))
    rows = pd.concat([ROWS, other], ignore_index=True)
    found = [one for one in shared_texts(rows, rows["emotion"]) if "test are" in one.found]
    assert [(one.corpus, one.rows) for one in found] == [("c", 2)]


WORDS = st.lists(st.sampled_from(["a b c d", "A, b c d!", "e f g h", "i"]), min_size=1, max_size=9)


@given(WORDS, st.data())
def test_counts_are_those_of_a_plain_search(texts: list[str], data: st.DataObject) -> None:
    parts = [data.draw(st.sampled_from(["train", "dev", "test", ""])) for _ in texts]
    labels = [data.draw(st.sampled_from(["joy", "fear", ""])) for _ in texts]
    rows = table(*((p, "", "s", y, t) for p, y, t in zip(parts, labels, texts, strict=True)))
    plain = [text.lower().replace(",", "").replace("!", "") for text in texts]
    found = shared(rows)
    for part in ("dev", "test"):
        wanted = same = 0
        for i, text in enumerate(plain):
            twins = [j for j, t in enumerate(plain) if parts[j] == "train" and t == text]
            if parts[i] == part and " " in text and twins:
                wanted += 1
                same += any(labels[i] == labels[j] != "" for j in twins)
        one = found.get(f"texts of 4 words or more in {part} are those of train clips")
        assert (one.rows, one.same_label) == (wanted, same) if one else wanted == 0


def test_it_is_told_whose_texts_they_are() -> None:
    heard = ROWS.assign(text_source="a recogniser@123")
    assert {one.text for one in within_texts(heard, heard["emotion"])} == {"a recogniser@123"}


def test_a_sentence_says_how_many_of_how_many() -> None:
    one = Finding(corpus="c", found="texts are odd", rows=2, of=7, same_label=1, example="u1 ('x')")
    assert one.sentence() == "c: 2 of 7 texts are odd, 1 with the same label, e.g. u1 ('x')"
    assert np.isnan(Finding(corpus="", found="x", rows=0, of=0).same_label)


def test_an_audit_says_what_texts_tell_and_refuses_nothing(tmp_path) -> None:
    rows = ROWS.assign(
        speaker=[f"{part}{name}" for part, name in zip(ROWS["split"], ROWS["speaker"], strict=True)]
    )
    rows.to_csv(tmp_path / "m.csv", index=False)
    done = genser("audit", tmp_path / "m.csv", "--task", "emotion", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    line = (
        "texts: c: 1 of 3 dialogues have clips in more than one part, e.g. 'd1' in test and train"
    )
    assert line in done.output.splitlines()
    assert "texts: c: 0 of" not in done.output
    written = pd.read_csv(tmp_path / "out/audit_texts.csv")
    assert written["same_label"].dropna().tolist() == [0, 1]
    assert set(written["corpus"]) == {"c"}
    assert set(written["text"]) == {"gold"}


def test_each_fold_has_its_own_count(tmp_path) -> None:
    rows = ROWS.assign(split="", speaker="s").assign(
        **{"split.1": ROWS["split"], "split.2": "train"}
    )
    rows.to_csv(tmp_path / "m.csv", index=False)
    done = genser("audit", tmp_path / "m.csv", "--task", "emotion", "--allow-speaker-overlap")
    lines = [line for line in done.output.splitlines() if "texts" in line]
    assert sum(line.startswith("fold 1, texts: c: ") for line in lines) == 2
    assert not any(line.startswith("fold 2, texts") for line in lines)
    assert sum(line.startswith("texts: c: ") for line in lines) == 1
