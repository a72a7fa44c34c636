"""Probes of a head whose two representations are known to know different things."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.knowing import CONTENT, DESCRIPTOR, SENTENCES, SPLITS, Corpus, write_corpus
from helpers.training import train_into
from pipeline.errors import HeadError
from pipeline.experiments.head_probes import probe_head, questions, represent
from pipeline.heads.saved import TrainedHead, load_head
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.scoring.score import features_of
from pipeline.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
INSIDE = ("content", "descriptor", "mean of frames")


class Made:
    """A corpus and a head that was trained on it."""

    def __init__(self, corpus: Corpus, head: TrainedHead) -> None:
        self.corpus, self.head = corpus, head

    def probed(self, table: pd.DataFrame | None = None, part: str = "test") -> pd.DataFrame:
        manifest = self.corpus.manifest
        if table is not None:
            write_manifest(self.corpus.store.parent / "other.csv", table)
            manifest = read_manifest(self.corpus.store.parent / "other.csv")
        features = features_of(self.head, manifest, {"": self.corpus.store})
        return probe_head(features, self.head, part, device="cpu", reporter=Silence())


@pytest.fixture
def made(tmp_path: Path, install) -> Made:
    install(
        "knowing_head",
        "from helpers.knowing import KIND\n",
        {"genser.heads": "knowing = knowing_head:KIND"},
    )
    corpus = write_corpus(tmp_path)
    config = TrainConfig(head="knowing", num_steps=2, eval_every=2)
    train_into(tmp_path / "head", corpus.manifest, corpus.store, config)
    return Made(corpus, load_head(tmp_path / "head"))


def ua(table: pd.DataFrame, question: str) -> dict[str, float]:
    mine = table[table["question"] == question]
    return dict(zip(mine["representation"], mine["ua"], strict=True))


def test_each_representation_answers_what_it_knows_and_guesses_the_rest(made: Made) -> None:
    found = made.probed()
    assert list(dict.fromkeys(found["question"])) == ["emotion", "gender", "sentence", "speaker"]
    for question, knows, guesses in (
        ("emotion", "descriptor", "content"),
        ("speaker", "descriptor", "content"),
        ("sentence", "content", "descriptor"),
    ):
        told = ua(found, question)
        assert told[knows] == 1
        assert told[guesses] < 0.65
        # A sentence that was not fitted is far from those that were: even the whole is thrown off.
        assert told["mean of frames"] == 1 or question == "speaker"


def test_what_was_fitted_and_scored_is_told(made: Made) -> None:
    found = made.probed().groupby("question").first()
    clips = 2 * len(SENTENCES) * 2  # of a speaker
    for name, classes in (("emotion", 2), ("gender", 2), ("sentence", 3)):
        told = found.loc[name]
        assert (told["fitted"], told["scored"]) == (3 * clips, 2 * clips)
        assert (told["classes"], told["chance"]) == (classes, 1 / classes)
        assert (told["apart"], told["clusters"]) == ("speaker", 2)
    told = found.loc["speaker"]
    assert (told["fitted"], told["scored"]) == (2 * clips * 2 / 3, 2 * clips)
    assert (told["apart"], told["clusters"]) == ("sentence", 3)
    assert ((found["ua_low"] <= found["ua"]) & (found["ua"] <= found["ua_high"])).all()


def test_no_fold_has_on_both_sides_what_is_held_apart(made: Made) -> None:
    features = features_of(made.head, made.corpus.manifest, {"": made.corpus.store})
    splits = made.corpus.manifest.table["split"].to_numpy()
    for question in questions(features, made.head, "test"):
        for fitted, scored in question.folds:
            assert not set(question.groups[fitted]) & set(question.groups[scored])
            assert set(splits[scored]) == {"test"}
            assert set(splits[fitted]) == ({"test"} if question.name == "speaker" else {"train"})


def test_a_part_is_chosen_and_one_speaker_is_nobody_to_tell_from(made: Made) -> None:
    found = made.probed(part="dev")
    assert set(found["question"]) == {"emotion", "sentence"}
    assert (found["clusters"] == SPLITS.count("dev")).all()


def test_a_question_needs_labels_that_both_sides_have(made: Made) -> None:
    table = made.corpus.manifest.table
    alone = table["text"] + table["speaker"]
    found = made.probed(table.assign(text=alone).drop(columns="gender"))
    # Every sentence is one speaker's own: none is in train and test.
    assert set(found["question"]) == {"emotion", "speaker"}
    assert set(made.probed(table.assign(text=""))["question"]) == {"emotion", "gender", "speaker"}


def test_without_sentences_clips_are_held_apart_from_each_other(made: Made) -> None:
    found = made.probed(made.corpus.manifest.table.drop(columns="text"))
    speaker = found[found["question"] == "speaker"].iloc[0]
    assert (speaker["apart"], speaker["clusters"]) == ("clip", 2 * 2 * 3 * 2)
    one = made.probed(made.corpus.manifest.table.assign(text="one"))
    assert set(one[one["question"] == "speaker"]["apart"]) == {"clip"}


def test_a_recogniser_s_texts_are_no_sentences_that_were_said(made: Made) -> None:
    table = made.corpus.manifest.table.assign(text_source="a recogniser")
    assert "sentence" not in set(made.probed(table)["question"])
    given = table.assign(text_given=table["text"], text="heard")
    assert "sentence" in set(made.probed(given)["question"])


def test_clips_come_back_in_the_order_that_was_asked_for(made: Made) -> None:
    features = features_of(made.head, made.corpus.manifest, {"": made.corpus.store})
    rows = np.random.default_rng(0).permutation(len(made.corpus.manifest.table))
    found = represent(features, rows, made.head, device="cpu")
    assert tuple(found) == INSIDE
    table = made.corpus.manifest.table.iloc[rows]
    sentences = table["text"].map(SENTENCES.index).to_numpy()
    np.testing.assert_array_equal(found["content"].argmax(1), sentences)
    for name, dimensions in (("content", CONTENT), ("descriptor", DESCRIPTOR)):
        np.testing.assert_allclose(found[name], found["mean of frames"][:, dimensions], atol=1e-6)


def test_a_head_that_shows_nothing_is_refused(made: Made, tmp_path: Path) -> None:
    from pipeline.heads.tokens import TokensConfig

    section = TokensConfig(input="frames", view="frames", acoustics="", width=8, hidden=8)
    config = TrainConfig(head="tokens", num_steps=1, heads={"tokens": section})
    corpus = made.corpus
    train_into(tmp_path / "tokens", corpus.manifest, corpus.store, config)
    made.head = load_head(tmp_path / "tokens")
    with pytest.raises(HeadError, match="'tokens' shows nothing of what it makes of a clip"):
        made.probed()
