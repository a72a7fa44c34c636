"""What heads write against what is given: which clips count, and what stands beside it."""

import numpy as np
import pandas as pd
import pytest

from pipeline.descriptions.slots import SLOTS
from pipeline.evaluation.captions import bleu_counts, bleu_of, cider_d, rouge_l
from pipeline.evaluation.word_errors import normalised, word_error_rate
from pipeline.experiments.said_texts import (
    CEILING,
    FLOOR,
    known_descriptors,
    said_rows,
    slots_table,
    text_scores,
)
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from stages.grammars import read_grammar

ENGLISH = read_grammar("")
NUM = 12


def described(number: int, **levels: int) -> str:
    return ENGLISH.sentence(levels or {"pitch": number % 3, "energy": number % 2}, f"c{number}")


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    table = pd.DataFrame(
        {
            "utterance_id": [f"c{i}" for i in range(NUM)],
            "path": [f"c{i}.wav" for i in range(NUM)],
            "corpus": "x",
            "speaker": [f"s{i % 4}" for i in range(NUM)],
            "split": ["train"] * 6 + ["test"] * 6,
            "emotion": ["calm", "sad"] * 6,
            "text": [f"he said {'no ' * (i % 3)}then" for i in range(NUM)],
            "descriptors": [described(i) for i in range(NUM - 1)] + [""],
        }
    )
    write_manifest(tmp_path / "m.csv", table)
    return read_manifest(tmp_path / "m.csv")


def predictions(**said: list[str | None]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "utterance_id": [f"c{i}" for i in range(6, NUM)],
            "label": ["calm", "sad"] * 3,
            "predicted": ["calm"] * 5 + [None],
        }
    )
    return table.assign(**said)


def test_failed_clips_and_those_without_a_reference_are_left_out(manifest: Manifest) -> None:
    rows = said_rows(predictions(descriptors=["x"] * 6, transcript=["y"] * 6), manifest)
    assert rows["utterance_id"].tolist() == ["c6", "c7", "c8", "c9", "c10"]
    assert rows["given_descriptors"].tolist() == [described(i) for i in range(6, 11)]
    assert rows["given_text"].tolist() == manifest.table["text"].tolist()[6:11]
    lacking = rows.assign(given_descriptors=["", *rows["given_descriptors"][1:]])
    found = text_scores({"a": lacking}, cluster="speaker", java_seconds=0)
    assert dict(zip(found["score"], found["clips"], strict=True)) == {
        **dict.fromkeys(("bleu4", "rouge_l", "cider_d", "meteor", "spice"), 4),
        "wer": 5,
    }


def test_a_recogniser_s_text_is_not_what_transcripts_are_held_to(manifest: Manifest) -> None:
    table = manifest.table.assign(text="heard", text_source="a", text_given=manifest.table["text"])
    given = Manifest(manifest.path, table, manifest.first_row)
    rows = said_rows(predictions(transcript=["y"] * 6), given)
    assert rows["given_text"].tolist() == manifest.table["text"].tolist()[6:11]
    assert "given_descriptors" not in rows


def test_scores_are_those_of_the_texts(manifest: Manifest) -> None:
    said = [described(i, pitch=i % 3, energy=1) for i in range(6, NUM)]
    heard = ["He said no, then!", "he said", "", "so he said then", "x", "z"]
    rows = said_rows(predictions(descriptors=said, transcript=heard), manifest)
    found = text_scores({"a": rows}, cluster="speaker", java_seconds=0).set_index("score")
    given = normalised(rows["given_descriptors"].tolist())
    told = normalised(said[:5])
    assert found.loc["bleu4", "value"] == bleu_of(bleu_counts(given, told).sum(0))
    assert found.loc["rouge_l", "value"] == pytest.approx(rouge_l(given, told).mean())
    assert found.loc["cider_d", "value"] == pytest.approx(cider_d(given, told).mean())
    rate = word_error_rate(rows["given_text"].tolist(), heard[:5])
    assert rate is not None
    assert found.loc["wer", "value"] == pytest.approx(rate[0])
    assert (found["clusters"] == 4).all()
    assert found.loc["meteor", "reason"] == "not asked for: report.java_seconds is 0"
    assert np.isnan(found.loc["meteor", "value"])


def test_slots_stand_between_the_commonest_description_and_the_numbers_own(
    manifest: Manifest,
) -> None:
    said = [described(i, pitch=i % 3, energy=0) for i in range(6, NUM)]
    rows = said_rows(predictions(descriptors=said), manifest).assign(fold="1")
    known = {"1": known_descriptors(manifest)}
    assert known["1"] == [described(i) for i in range(6)]
    found = slots_table({"a": rows}, ENGLISH, known).set_index(["system", "slot"])["accuracy"]
    assert found["a"].to_dict() == {"pitch": 1, "energy": 3 / 5, "all": (1 + 3 / 5) / 2}
    # Of c0 to c5 every pitch is as frequent, and either energy: the lower is taken.
    assert found[FLOOR].to_dict() == {"pitch": 2 / 5, "energy": 3 / 5, "all": 1 / 2}
    assert set(found[CEILING]) == {1}
    assert set(found["a"].index) - {"all"} < set(SLOTS)


def test_each_fold_has_its_own_commonest_description(manifest: Manifest) -> None:
    rows = said_rows(predictions(descriptors=[""] * 6), manifest)
    rows["fold"] = ["1", "2", "1", "2", "1"]
    known = {"1": [described(0, pitch=2)], "2": [described(0, pitch=1)]}
    found = slots_table({"a": rows}, ENGLISH, known).set_index(["system", "slot"])["accuracy"]
    # Pitch is 0, 1, 2, 0, 1: the third is the first fold's own, the second the other one's.
    assert found[FLOOR]["pitch"] == 2 / 5
    assert found["a"]["all"] == 0


def test_without_training_descriptions_there_is_no_floor(manifest: Manifest) -> None:
    rows = said_rows(predictions(descriptors=[""] * 6), manifest).assign(fold="1")
    found = slots_table({"a": rows}, ENGLISH, {"1": []})
    assert set(found["system"]) == {"a", CEILING}


def test_what_says_nothing_has_no_tables(manifest: Manifest) -> None:
    rows = said_rows(predictions(transcript=["y"] * 6), manifest).assign(fold="1")
    assert slots_table({"a": rows}, ENGLISH, {"1": []}).empty
    undescribed = said_rows(predictions(descriptors=["y"] * 6), manifest)
    undescribed = undescribed.assign(fold="1", given_descriptors="")
    assert slots_table({"a": undescribed}, ENGLISH, {"1": []}).empty
    assert text_scores({"a": undescribed}, cluster="speaker", java_seconds=0).empty
