"""Samples at another rate, block by block."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr


def resampled(
    blocks: Iterable[np.ndarray], own_rate: int, sample_rate: int
) -> Iterator[np.ndarray]:
    """Yield mono samples at another rate, block by block; equal rates change nothing."""
    if own_rate == sample_rate:
        yield from blocks
        return
    # The stream gives the samples of the one-shot resampler, so block length does not matter.
    stream = soxr.ResampleStream(own_rate, sample_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
