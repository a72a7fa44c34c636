from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.uneven_corpora import HEAD_CONFIGS, scored, trained
from pipeline.errors import ParamsError
from pipeline.training.draws import drawn_rows, mixup
from pipeline.training.targets import one_hot
from pipeline.training.weighting import BALANCES, weigh_rows

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=40
)


@given(ROWS, st.sampled_from(BALANCES), st.floats(0, 2))
def test_chances_sum_to_one_and_weights_average_one(rows, balance, temperature) -> None:
    labels, corpora = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = weigh_rows(one_hot(labels, 4), corpora, balance=balance, corpus_temperature=temperature)
    assert found.draw.sum() == pytest.approx(1)
    assert found.draw @ found.weight == pytest.approx(1)
    assert found.prior.sum() == pytest.approx(1)
    sizes = {name: (corpora == name).sum() ** temperature for name in set(corpora)}
    for name, size in sizes.items():
        assert found.draw[corpora == name].sum() == pytest.approx(size / sum(sizes.values()))


@given(ROWS)
def test_sampler_and_loss_make_the_classes_of_one_corpus_alike(rows) -> None:
    labels = np.array([r[0] for r in rows])
    present = np.unique(labels)
    for balance in ("sampler", "loss"):
        found = weigh_rows(
            one_hot(labels, 4), ["one"] * len(rows), balance=balance, corpus_temperature=1.0
        )
        for label in present:
            mine = labels == label
            assert found.draw[mine] @ found.weight[mine] == pytest.approx(1 / len(present))
        np.testing.assert_allclose(found.prior[present], 1 / len(present))


def test_without_balance_one_corpus_is_drawn_evenly_and_its_shares_are_the_prior() -> None:
    labels = np.array([0, 0, 0, 1])
    found = weigh_rows(one_hot(labels, 2), ["a"] * 4, balance="none", corpus_temperature=0.0)
    assert found.is_even
    assert found.weight.tolist() == [1.0] * 4
    assert found.prior.tolist() == [0.75, 0.25]
    other = weigh_rows(one_hot(labels, 2), list("aaab"), balance="none", corpus_temperature=0.0)
    assert not other.is_even
    assert other.draw.tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])


def test_votes_count_by_their_shares() -> None:
    targets = np.array([[0.5, 0.5], [1.0, 0.0]])
    found = weigh_rows(targets, ["a", "a"], balance="loss", corpus_temperature=1.0)
    # Class 0 has 3/4 of the draws, class 1 a quarter: a whole vote counts 2/3 and 2.
    np.testing.assert_allclose(found.weight, [0.5 * 2 / 3 + 0.5 * 2, 2 / 3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"balance": "some"}, r"train\.balance: 'some' is not one of"),
        ({"corpus_temperature": -1.0}, r"train\.corpus_temperature: -1\.0 is below 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, message) -> None:
    settings = {"balance": "none", "corpus_temperature": 1.0} | settings
    with pytest.raises(ParamsError, match=message):
        weigh_rows(one_hot(np.array([0]), 1), ["a"], **settings)


@pytest.mark.parametrize("kind", list(HEAD_CONFIGS))
@pytest.mark.parametrize("balance", ["sampler", "loss"])
def test_balance_changes_the_prior_and_raises_the_rare_class(
    uneven, tmp_path: Path, kind: str, balance: str
) -> None:
    settings = {
        "head": kind,
        "num_steps": 20,
        "eval_every": 20,
        "heads": HEAD_CONFIGS,
    }
    plain = trained(uneven, tmp_path / "plain", **settings)
    head = trained(uneven, tmp_path / "head", balance=balance, **settings)
    # Corpus b lacks "sad", so drawing its classes alike leaves that class its half.
    wanted = {"sampler": [5 / 12, 5 / 12, 1 / 6], "loss": [1 / 3, 1 / 3, 1 / 3]}[balance]
    np.testing.assert_allclose(head.prior, wanted, atol=1e-9)
    if kind != "logreg":  # the others are drawn and do not end at a minimum
        return
    rare = {
        name: scored(uneven, one, mask_classes=False)["probability.sad"].mean()
        for name, one in (("plain", plain), ("head", head))
    }
    assert rare["head"] > rare["plain"]


def test_rows_are_drawn_by_their_chances_and_the_same_again() -> None:
    chances = torch.tensor([0.0, 0.7, 0.1, 0.2, 0.0], dtype=torch.float64)
    steps = [drawn_rows(step, chances, 5, seed=3) for step in range(4000)]
    counts = torch.stack(steps).flatten().bincount(minlength=5) / 20000
    torch.testing.assert_close(counts.double(), chances, atol=0.015, rtol=0)
    assert torch.equal(drawn_rows(7, chances, 5, seed=3), steps[7])
    assert not all(torch.equal(drawn_rows(i, chances, 5, seed=4), steps[i]) for i in range(9))


def test_mixup_mixes_clip_and_target_by_one_share() -> None:
    # Features that are their own targets stay so, whatever is mixed with what.
    targets = torch.eye(6).repeat(4, 1)
    layers = targets[:, None, :].expand(-1, 3, -1)
    views = {"layers": layers, "flipped": layers.flip(-1)}
    found, labels = mixup(views, targets, alpha=0.4, step=5, seed=1)
    mixed = found["layers"]
    # Every view is mixed with the same clips in the same shares.
    torch.testing.assert_close(found["flipped"], mixed.flip(-1))
    for layer in range(3):
        torch.testing.assert_close(mixed[:, layer], labels)
    torch.testing.assert_close(labels.sum(1), torch.ones(24))
    assert ((labels > 0) & (labels < 1)).any()
    again, _ = mixup(views, targets, alpha=0.4, step=5, seed=1)
    assert torch.equal(mixed, again["layers"])
    other, _ = mixup(views, targets, alpha=0.4, step=6, seed=1)
    assert not torch.equal(mixed, other["layers"])
