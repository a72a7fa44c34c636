"""Attentive statistics pooling against a sum over each clip alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.heads.attentive_pooling import LEAST_VARIANCE, AttentivePooling

WIDTH = 6


def pooling() -> AttentivePooling:
    torch.manual_seed(0)
    return AttentivePooling(WIDTH, 5)


def clips(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Return frames with noise in the padding, and the mask."""
    draw = torch.Generator().manual_seed(len(lengths))
    frames = torch.randn(len(lengths), max(lengths), WIDTH, generator=draw)
    return frames, torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]


def naive(pool: AttentivePooling, frames: Tensor) -> Tensor:
    """Return mean and deviation of one clip (T, W), frame by frame and dimension by dimension."""
    first, last = pool.score[0], pool.score[2]
    scores = [last.weight[0] @ torch.tanh(first.weight @ h + first.bias) for h in frames]
    parts = torch.stack(scores).exp()
    weights = parts / parts.sum()
    mean = [sum(w * h[d] for w, h in zip(weights, frames, strict=True)) for d in range(WIDTH)]
    square = [
        sum(w * (h[d] - mean[d]) ** 2 for w, h in zip(weights, frames, strict=True))
        for d in range(WIDTH)
    ]
    return torch.stack([*mean, *(max(s, torch.tensor(LEAST_VARIANCE)).sqrt() for s in square)])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_it_is_the_sum_over_each_clip_alone(lengths: list[int]):
    pool = pooling().double()
    frames, mask = clips(lengths)
    frames = frames.double()
    found = pool(frames, mask)
    assert found.shape == (len(lengths), pool.out_width)
    for row, own, length in zip(found, frames, lengths, strict=True):
        # The weights are float32 in any case.
        torch.testing.assert_close(row.double(), naive(pool, own[:length]), atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_weights_are_of_a_clip_s_own_frames_and_sum_to_one(lengths: list[int]):
    frames, mask = clips(lengths)
    weights = pooling().weights(frames, mask)
    assert (weights[~mask] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(lengths)))


def test_with_equal_scores_it_is_mean_and_deviation():
    pool = pooling()
    torch.nn.init.zeros_(pool.score[2].weight)
    frames, mask = clips([7])
    found = pool(frames, mask)[0]
    wanted = torch.cat([frames[0].mean(0), frames[0].std(0, correction=0)])
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("lengths", [[1, 1], [1, 5], [0, 3]])
def test_of_one_frame_or_none_numbers_and_slopes_are_finite(lengths: list[int]):
    frames, mask = clips(lengths)
    frames.requires_grad_()
    pool = pooling()
    found = pool(frames, mask)
    found.square().sum().backward()
    assert found.isfinite().all()
    assert frames.grad is not None
    for slope in (frames.grad, *(p.grad for p in pool.parameters())):
        assert slope.isfinite().all()
    assert (found[0, WIDTH:] - LEAST_VARIANCE**0.5).abs().max() < 1e-7


def test_under_autocast_it_is_as_exact_as_its_scores():
    pool = pooling()
    torch.nn.init.zeros_(pool.score[2].weight)
    frames, mask = clips([7, 3])
    with torch.autocast("cpu", torch.bfloat16):
        found = pool(frames, mask)
    torch.testing.assert_close(found, pool(frames, mask))
