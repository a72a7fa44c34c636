"""Training that diverges ends by that name, and a head that only guesses is said to."""

import numpy as np
import pytest

from helpers.commands import genser, refused
from pipeline.evaluation.chance import chance_of
from pipeline.evaluation.metrics import unweighted_accuracy

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
    told = genser(*words, *TRAIN, "--out", tmp_path / "h").stderr
    assert "of 10 clips is at chance (guesses reach 0.200, and up to 0.453 by luck)" in told


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
