"""A variational information bottleneck on frames (Kingma & Welling 2014; Alemi et al. 2017)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

LEAST, MOST = -8.0, 4.0  # of the logarithm of a variance: beyond them it is cut off
FIRST = -4.0  # where it begins: little noise, so that something is learnt before it is pressed


class Latent(NamedTuple):
    """A normal distribution of each frame: mean and logarithm of the variance, (B, T, Z)."""

    mean: Tensor
    log_variance: Tensor


class LayerSum(nn.Module):
    """x = sum_l softmax(w)_l f_l, the layers of frames weighted by what is learned."""

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_layers))

    def forward(self, frames: Tensor) -> Tensor:
        """Return frames (B, T, R, D) as (B, T, D)."""
        summed: Tensor = torch.einsum("btrd,r->btd", frames, self.scores.softmax(0))
        return summed


class Bottleneck(nn.Module):
    """h = ReLU(Linear(LN x));  mu, log s^2 = Linear(h), log s^2 within -8 and 4."""

    def __init__(self, dim: int, hidden: int, width: int) -> None:
        """Take frames of width `dim` to Z = `width` dimensions."""
        super().__init__()
        self.hear = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, width)
        self.log_variance = nn.Linear(hidden, width)
        nn.init.constant_(self.log_variance.bias, FIRST)

    def forward(self, frames: Tensor) -> Latent:
        """Return the distribution of each of frames (B, T, D), float32."""
        hidden = self.hear(frames)
        log_variance = self.log_variance(hidden).float().clamp(LEAST, MOST)
        return Latent(self.mean(hidden).float(), log_variance)


def sampled(latent: Latent, generator: torch.Generator) -> Tensor:
    """Return z = mu + s eps, eps ~ N(0, I), shape (B, T, Z).

    Args:
        latent: Of frames.
        generator: The source of eps, on the CPU.
    """
    noise = torch.randn(latent.mean.shape, generator=generator).to(latent.mean)
    return latent.mean + (0.5 * latent.log_variance).exp() * noise


def kl_to_normal(latent: Latent, mask: Tensor) -> Tensor:
    """Return KL(N(mu, s^2) || N(0, I)) = 1/2 sum_d (mu^2 + s^2 - 1 - log s^2), a scalar.

    It is summed over dimensions and averaged over valid frames; beta means something under this
    reduction alone, and the paper (2505.23236) does not say its own.

    Args:
        latent: Of frames.
        mask: Which frames are a clip's own, bool, shape (B, T).
    """
    mean, log_variance = latent
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
    return (each * mask).sum() / mask.sum()


def beta_at(progress: float, first: float, last: float) -> float:
    """Return how much the KL counts when this part of a phase is done, log-linear in between.

    beta = first^(1 - p) last^p; the paper (2505.23236) goes from 1 to 1e-4 and does not say how.

    Args:
        progress: p, from 0 to 1.
        first: At p = 0, above 0.
        last: At p = 1, above 0; equal to `first` it stays.
    """
    return float(first ** (1 - progress) * last**progress)
