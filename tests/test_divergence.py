"""Training that diverges ends by that name, and a head that only guesses is said to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import descriptors, emoq, tuning
from helpers.codes import write_corpus
from helpers.commands import genser, refused
from helpers.training import train_into
from pipeline.errors import HeadError
from pipeline.evaluation.chance import chance_of
from pipeline.evaluation.metrics import unweighted_accuracy
from pipeline.heads.phase import OptimiserConfig
from pipeline.heads.tokens import TokensConfig
from pipeline.progress import Lines
from pipeline.training.config import TrainConfig

TRAIN = ["train", "demo.csv", "--store", "store"]


@pytest.mark.parametrize("head", ["linear", "mlp", "twin", "genser"])
@pytest.mark.parametrize("rate", ["1e6", "1e30"])
def test_a_learning_rate_far_too_high_is_a_divergence(here, tmp_path, head, rate) -> None:
    words = ["-S", f"train.head={head}", "-S", f"train.optimiser.learning_rate={rate}"]
    told = refused(*words, *TRAIN, "--out", tmp_path / "h")
    assert "Error: train: diverged in step 2: found a loss of " in told
    assert "lower train.optimiser.learning_rate" in told
    assert not (tmp_path / "h" / "head.json").exists()


def test_a_divergence_between_two_looks_is_found_after_a_resume_too(here, tmp_path) -> None:
    words = ["-S", "train.head=linear", "-S", "train.num_steps=10", "-S", "train.eval_every=1"]
    words += ["-S", "train.optimiser.learning_rate=1e6", *TRAIN, "--out", tmp_path / "h"]
    assert "diverged in step 2" in refused(*words)
    assert (tmp_path / "h" / "checkpoint.json").exists()  # of the look after step 1
    again = refused(*words)
    assert "going on from the checkpoint at step 1" in again
    assert "diverged in step 2" in again


def test_a_head_that_only_guesses_on_dev_is_said_to(here, tmp_path) -> None:
    words = ["-S", "train.num_steps=1", "-S", "train.optimiser.learning_rate=0"]
    words += ["-S", "train.seed=1"]
    told = genser(*words, *TRAIN, "--out", tmp_path / "h").stderr
    assert "of 10 clips is at chance (guesses reach 0.200, and up to 0.453 by luck)" in told


def test_a_fit_that_only_guesses_is_said_to(here, tmp_path) -> None:
    words = ["-S", "train.head=logreg", "-S", "train.logreg.strength=1e-30"]
    told = genser(*words, *TRAIN, "--out", tmp_path / "h").stderr
    assert "of 10 clips is at chance" in told


def train(corpus, config: TrainConfig, out: Path) -> list[str]:
    heard = Lines()
    train_into(out, corpus.manifest, corpus.store, config, heard)
    return heard.lines


def at_rate(config: TrainConfig, rate: float) -> TrainConfig:
    optimiser = OptimiserConfig(learning_rate=rate, schedule="constant")
    return replace(config, num_steps=6, eval_every=3, optimiser=optimiser)


def tokens_at(folder: Path, rate: float) -> None:
    section = TokensConfig(width=16, num_heads=2, hidden=16, pooling_hidden=8, input="frames")
    config = TrainConfig(head="tokens", batch_size=16, heads={"tokens": section})
    train(write_corpus(folder / "corpus", 30), at_rate(config, rate), folder / "h")


def emoq_at(folder: Path, rate: float) -> list[str]:
    made = emoq.make(folder, 30)
    return train(made.corpus, at_rate(emoq.config_of(made, input="text"), rate), folder / "h")


def descriptors_at(folder: Path, rate: float) -> None:
    made = descriptors.make(folder, 30)
    config = at_rate(descriptors.config_of(made, stage1_steps=2), rate)
    train(made.corpus, config, folder / "h")


def finetune_at(folder: Path, rate: float) -> None:
    clips = tuning.save_tones(folder, num_each=4)
    encoder = tuning.save_small(folder / "encoder", "hubert")
    tuning.tune(clips, tuning.settings(encoder, learning_rate=rate, max_s=0.5), folder / "h")


@pytest.mark.parametrize("diverge", [tokens_at, emoq_at, descriptors_at, finetune_at])
def test_every_head_s_divergence_has_its_name(
    tmp_path: Path, diverge: Callable[[Path, float], object], without_waiting_for_the_disk
) -> None:
    with pytest.raises(HeadError, match=r"(train|finetune): diverged in step \d+: found a loss"):
        diverge(tmp_path, 1e6)
    assert not (tmp_path / "h" / "head.json").exists()


def test_a_loss_that_cannot_explode_and_got_worse_is_a_divergence_that_is_said(
    tmp_path: Path, without_waiting_for_the_disk
) -> None:
    (line,) = [line for line in emoq_at(tmp_path, 100.0) if "diverged" in line]
    assert line.startswith("train: diverged: the loss ended at ")
    assert line.endswith("; lower train.optimiser.learning_rate.")


def test_a_cross_validation_says_which_of_its_trainings_diverged_or_guessed(here, tmp_path) -> None:
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "linear", "--folds", "3"]
    quick = ["-S", "train.num_steps=2", "-S", "train.eval_every=1"]
    wild = [*quick, "-S", "train.optimiser.learning_rate=1e6"]
    told = refused(*wild, *words, "--out", tmp_path / "wild")
    assert "train: diverged in step 2" in told
    assert "in linear, fold 1, seed 0; what was finished is kept" in told
    still = [*quick, "-S", "train.optimiser.learning_rate=0"]
    told = genser(*still, *words, "--out", tmp_path / "still").stderr
    assert "linear, fold 1, seed 0: dev: UA " in told
    assert "is at chance" in told


def test_guesses_reach_chance_and_seldom_more_than_the_bound() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), [40, 10, 30, 20])
    chance, bound = chance_of(labels)
    guesses = [unweighted_accuracy(labels, generator.integers(0, 4, 100)) for _ in range(4000)]
    assert np.mean(guesses) == pytest.approx(chance, abs=0.003)
    assert np.std(guesses) == pytest.approx((bound - chance) / 2, rel=0.05)
    assert unweighted_accuracy(labels, np.zeros(100, dtype=np.int64)) == chance


def test_one_class_alone_has_no_chance() -> None:
    assert chance_of(np.zeros(5)) == (1.0, 1.0)
