"""The information bottleneck: against torch's own distributions, whatever the padding."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal, kl_divergence

from pipeline.heads.bottleneck import (
    LEAST,
    MOST,
    Bottleneck,
    Latent,
    LayerSum,
    beta_at,
    kl_to_normal,
    sampled,
)
from pipeline.heads.projector import FrameProjector, Projector

PARTS = st.floats(0, 1)
BETAS = st.floats(1e-6, 10)


def latent_of(seed: int, *shape: int) -> Latent:
    made = torch.Generator().manual_seed(seed)
    return Latent(torch.randn(*shape, generator=made), torch.randn(*shape, generator=made))


def mask_of(lengths: list[int], longest: int) -> torch.Tensor:
    return torch.arange(longest)[None] < torch.tensor(lengths)[:, None]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 99))
def test_the_kl_is_torch_s_own_summed_over_dimensions_averaged_over_frames(lengths, seed):
    latent = latent_of(seed, len(lengths), 7, 3)
    one = Normal(latent.mean, (0.5 * latent.log_variance).exp())
    each = kl_divergence(one, Normal(0.0, 1.0)).sum(-1)
    wanted = torch.cat([each[i, :length] for i, length in enumerate(lengths)]).mean()
    torch.testing.assert_close(kl_to_normal(latent, mask_of(lengths, 7)), wanted)


def test_the_kl_of_the_prior_is_0_and_does_not_see_padding():
    prior = Latent(torch.zeros(2, 5, 4), torch.zeros(2, 5, 4))
    assert kl_to_normal(prior, mask_of([5, 2], 5)) == 0
    latent, mask = latent_of(0, 2, 5, 4), mask_of([5, 2], 5)
    dirty = Latent(*(part.masked_fill(~mask[..., None], 9.0) for part in latent))
    assert kl_to_normal(dirty, mask) == kl_to_normal(latent, mask)


def test_what_is_drawn_has_the_mean_and_the_deviation():
    mean, deviation = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    latent = Latent(mean.expand(1, 40000, 2), (2 * deviation.log()).expand(1, 40000, 2))
    drawn = sampled(latent, torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), deviation, atol=0.05, rtol=0)
    again = sampled(latent, torch.Generator().manual_seed(0))[0]
    assert torch.equal(drawn, again)


def test_gradients_pass_through_what_is_drawn_to_mean_and_variance():
    mean, log_variance = (one.requires_grad_() for one in latent_of(0, 1, 2, 3))
    sampled(Latent(mean, log_variance), torch.Generator().manual_seed(0)).sum().backward()
    assert mean.grad.eq(1).all()
    assert log_variance.grad.ne(0).all()


def test_the_logarithm_of_the_variance_stays_within_its_ends():
    bottleneck = Bottleneck(3, 8, 4)
    nn.init.constant_(bottleneck.log_variance.weight, 1e4)
    frames = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    found = bottleneck(frames)
    assert found.log_variance.max() <= MOST
    assert found.log_variance.min() >= LEAST
    assert Bottleneck(3, 8, 4).log_variance.bias.eq(-4).all()


@given(BETAS, BETAS, PARTS, PARTS)
def test_beta_goes_from_its_first_to_its_last_on_a_straight_line_of_logarithms(a, b, p, q):
    assert beta_at(0, a, b) == pytest.approx(a)
    assert beta_at(1, a, b) == pytest.approx(b)
    middle = math.log(beta_at(p, a, b)) + math.log(beta_at(q, a, b))
    assert math.log(beta_at((p + q) / 2, a, b)) == pytest.approx(middle / 2, abs=1e-9)
    assert beta_at(p, a, a) == pytest.approx(a)


def test_beta_of_the_paper_is_a_hundredth_half_way():
    assert beta_at(0.5, 1.0, 1e-4) == pytest.approx(1e-2)


def test_layers_are_summed_by_the_softmax_of_their_scores():
    layers = LayerSum(3)
    frames = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layers(frames), frames.mean(2))
    nn.init.constant_(layers.scores[:1], 50.0)
    torch.testing.assert_close(layers(frames), frames[:, :, 0])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 4))
def test_each_clip_has_a_soft_token_for_each_k_frames_alone_and_beside_others(lengths, neighbours):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        embeddings = nn.Embedding(7, 6)
        project = FrameProjector(3, neighbours, 8, embeddings)
        z = torch.randn(len(lengths), max(lengths), 3) * mask_of(lengths, max(lengths))[..., None]
    together = project(z, torch.tensor(lengths))
    for i, (length, soft) in enumerate(zip(lengths, together, strict=True)):
        assert soft.shape == (math.ceil(length / neighbours), 6)
        (alone,) = project(z[i : i + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(alone, soft)


@pytest.mark.parametrize(
    "make",
    [
        lambda own: FrameProjector(3, 1, 8, own).map,
        lambda own: Projector(3, own).map,
    ],
    ids=["of frames", "of a vector"],
)
def test_soft_tokens_begin_where_the_models_own_embeddings_lie(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = nn.Embedding(500, 64)
        mean, deviation = 3 * torch.randn(64), torch.rand(64) + 0.5
        own.weight.data.mul_(deviation).add_(mean)
        project = make(own)
        drawn = torch.randn(500, 64)
    *_, norm = project
    # Whatever comes before the norm: what is drawn for each token anew stands for it.
    soft = norm(drawn) * own.weight.detach().square().mean().sqrt()
    torch.testing.assert_close(soft.mean(0), mean, atol=0.3, rtol=0)
    torch.testing.assert_close(soft.std(0), deviation, atol=0.2, rtol=0)


def test_soft_tokens_begin_as_long_as_the_models_own():
    embeddings = nn.Embedding(50, 64)
    embeddings.weight.data.add_(2.0)
    for soft in (
        FrameProjector(3, 2, 8, embeddings)(torch.randn(1, 8, 3), torch.tensor([8]))[0],
        Projector(3, embeddings)(torch.randn(4, 3)),
    ):
        size = embeddings.weight.square().mean().sqrt()
        torch.testing.assert_close(soft.square().mean().sqrt(), size, atol=0.1, rtol=0)
