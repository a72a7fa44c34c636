"""The losses of EmoQ's first stage against loops, other libraries, and sums by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pipeline.heads.mal import class_weights_of, focal, supervised_contrastive

BATCHES = st.lists(st.integers(0, 3), min_size=1, max_size=9)


def vectors(num: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, 5, generator=draw, dtype=torch.float64)
    return functional.normalize(rows, dim=1)


def naive_contrastive(z: Tensor, labels: list[int], temperature: float) -> float:
    """L_out of Khosla et al., a number after the other."""
    losses = []
    for i, label in enumerate(labels):
        others = [a for a in range(len(labels)) if a != i]
        positives = [p for p in others if labels[p] == label]
        if not positives:
            continue
        below = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        shares = [math.exp(float(z[i] @ z[p]) / temperature) / below for p in positives]
        losses.append(-sum(math.log(share) for share in shares) / len(positives))
    return sum(losses) / len(losses) if losses else 0.0


@given(BATCHES, st.sampled_from([0.07, 0.5, 1.0]))
def test_contrastive_is_the_double_loop(labels: list[int], temperature: float):
    z = vectors(len(labels))
    found = supervised_contrastive(z, torch.tensor(labels), temperature=temperature)
    assert float(found) == pytest.approx(naive_contrastive(z, labels, temperature), abs=1e-10)


def test_contrastive_of_three_clips_by_hand():
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    # Anchor 0 sees 1 at 0 and 2 at -1; anchor 1 sees both at 0; anchor 2 has no positive.
    wanted = (math.log(1 + math.exp(-2.0)) + math.log(2)) / 2
    found = supervised_contrastive(z, torch.tensor([0, 0, 1]), temperature=0.5)
    assert float(found) == pytest.approx(wanted, abs=1e-6)


@given(BATCHES, st.randoms())
def test_contrastive_does_not_know_the_order_of_clips(labels: list[int], random):
    z, order = vectors(len(labels)), random.sample(range(len(labels)), len(labels))
    found = supervised_contrastive(z, torch.tensor(labels), temperature=0.1)
    turned = supervised_contrastive(z[order], torch.tensor(labels)[order], temperature=0.1)
    torch.testing.assert_close(found, turned)


@pytest.mark.parametrize("labels", [[0], [0, 1], [2, 0, 1]])
def test_without_a_positive_contrastive_is_0_with_slopes_of_0(labels: list[int]):
    z = vectors(len(labels)).float().requires_grad_()
    found = supervised_contrastive(z, torch.tensor(labels), temperature=0.07)
    found.backward()
    assert found.item() == 0
    assert z.grad is not None
    assert (z.grad == 0).all()


@given(BATCHES)
def test_an_anchor_without_a_positive_counts_as_another_only(labels: list[int]):
    z = vectors(len(labels) + 2)
    alone = [*labels, 8, 9]
    found = supervised_contrastive(z, torch.tensor(alone), temperature=0.2)
    assert float(found) == pytest.approx(naive_contrastive(z, alone, 0.2), abs=1e-10)


def logits_and_targets(num: int = 6) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(num, 4, generator=draw, dtype=torch.float64) * 3
    return logits, torch.rand(num, 4, generator=draw, dtype=torch.float64).softmax(1)


CLASS_WEIGHTS = torch.tensor([0.3, 1.0, 2.0, 5.3], dtype=torch.float64)


def test_at_gamma_0_focal_is_weighted_cross_entropy():
    logits, targets = logits_and_targets()
    labels = targets.argmax(1)
    for given_as, wanted in (
        (targets, functional.cross_entropy(logits, targets, CLASS_WEIGHTS)),
        (
            functional.one_hot(labels, 4),
            functional.cross_entropy(logits, labels, CLASS_WEIGHTS, reduction="none").mean(),
        ),
    ):
        torch.testing.assert_close(focal(logits, given_as, CLASS_WEIGHTS, gamma=0), wanted)


@given(st.floats(0, 5))
def test_focal_is_the_sum_over_clips_and_classes(gamma: float):
    logits, targets = logits_and_targets()
    total = 0.0
    for row, shares in zip(logits.tolist(), targets.tolist(), strict=True):
        below = sum(math.exp(x) for x in row)
        for x, q, w in zip(row, shares, CLASS_WEIGHTS.tolist(), strict=True):
            p = math.exp(x) / below
            total -= q * w * (1 - p) ** gamma * math.log(p)
    found = focal(logits, targets, CLASS_WEIGHTS, gamma=gamma)
    assert float(found) == pytest.approx(total / len(logits), rel=1e-9)


def test_a_clip_s_weight_is_how_often_it_counts():
    logits, targets = logits_and_targets(3)
    counts = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
    found = focal(logits, targets, CLASS_WEIGHTS, gamma=2, weights=counts)
    rows = [1, 1, 2]
    torch.testing.assert_close(found, focal(logits[rows], targets[rows], CLASS_WEIGHTS, gamma=2))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_of_a_sure_model_has_finite_slopes(gamma: float):
    logits = torch.tensor([[80.0, 0.0], [200.0, -200.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    focal(logits, targets, torch.ones(2), gamma=gamma).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_class_weights_make_classes_weigh_alike_and_an_absent_one_nothing():
    shares = torch.tensor([0.5, 0.25, 0.25, 0.0])
    found = class_weights_of(shares)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0, 1.0, 0.0]))


def test_under_autocast_losses_are_in_float32():
    z, labels = vectors(8).float(), torch.tensor([0, 1] * 4)
    logits, targets = (x.float() for x in logits_and_targets())
    weights = CLASS_WEIGHTS.float()

    def both(z: Tensor, logits: Tensor) -> Tensor:
        contrastive = supervised_contrastive(z, labels, temperature=0.07)
        return torch.stack([contrastive, focal(logits, targets, weights, gamma=2)])

    wanted = both(z, logits)
    with torch.autocast("cpu", torch.bfloat16):
        found = both(z, logits)
        # What comes in as bfloat16 is computed in float32 from there on.
        rounded = both(z.bfloat16(), logits.bfloat16())
    assert torch.equal(found, wanted)
    assert torch.equal(rounded, both(z.bfloat16().float(), logits.bfloat16().float()))
