"""Moments over the frames of a clip."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from helpers.encoders import naive_mean_and_deviation
from pipeline.encoders.pooling import Moments, combine, masked_moments


def test_padded_frames_are_not_counted_whatever_they_hold(generator: torch.Generator) -> None:
    frames = torch.randn(3, 9, 4, generator=generator)
    counts = [9, 1, 5]
    for row, count in zip(frames, counts, strict=True):
        row[count:] = torch.nan
    means, scatters = masked_moments(frames, torch.tensor(counts))
    for i, count in enumerate(counts):
        mean, deviation = naive_mean_and_deviation(frames[i, :count])
        torch.testing.assert_close(means[i], mean)
        torch.testing.assert_close((scatters[i] / count).sqrt(), deviation, rtol=1e-5, atol=1e-6)


def moments_of(frames: Tensor) -> Moments:
    """Moments of one layer's frames (T, D), as one row."""
    mean, deviation = naive_mean_and_deviation(frames)
    return Moments(len(frames), mean[None], deviation[None].square() * len(frames))


@pytest.mark.parametrize("sizes", [[6], [1, 5], [3, 1, 2, 7]])
def test_moments_of_parts_combine_to_those_of_the_whole(
    generator: torch.Generator, sizes: Sequence[int]
) -> None:
    frames = 3 + torch.randn(sum(sizes), 4, generator=generator)
    found = combine([moments_of(part) for part in frames.split(list(sizes))])
    whole = moments_of(frames)
    assert found.num_frames == sum(sizes)
    torch.testing.assert_close(found.mean, whole.mean)
    torch.testing.assert_close(found.scatter, whole.scatter, rtol=1e-4, atol=1e-5)
