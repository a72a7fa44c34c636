"""K centroids for many frames: Lloyd's iterations as matrix products in blocks.

On one machine the same frames and the same generator give the same bytes again: each block has the
same shape on every run, and sums are added in the order of the frames. Tests hold that with one
thread and with two; other numbers of them are up to the library that multiplies matrices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import ParamsError, ShapeError
from pipeline.quantisation.start import require_finite, start_places

BLOCK_ROWS = 8192
"""Frames in a block; the working memory is BLOCK_ROWS * (2 D + 2 K) floats at most."""

COMPUTE_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""The types in which frames may be compared with centroids, by their names in parameters."""


@dataclass(frozen=True, kw_only=True)
class KMeansFit:
    """What a fit found.

    Attributes:
        centroids: In the space of standardised frames, shape (K, D), float32.
        inertia: Mean squared distance of a frame to its centroid after each iteration, shape
            (iterations,), float32; the last is that of `centroids`.
        num_refilled: How often, over all iterations, a centroid without frames was put on a frame.
        num_empty: How many of `centroids` are nearest to no frame. Above 0 where there are fewer
            than K distinct values among the frames, or iterations were too few.
    """

    centroids: Tensor
    inertia: Tensor
    num_refilled: int
    num_empty: int


@torch.no_grad()
def nearest(frames: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Find the nearest centroid of each frame.

    The squared distance is |x|^2 - 2 (x.c - |c|^2 / 2), so that the nearest of all centroids is
        argmax_k x.c_k - |c_k|^2 / 2
    which is a matrix product.

    Args:
        frames: Standardised, shape (N, D), float32.
        centroids: Shape (K, D), float32.

    Returns:
        The number of the nearest centroid, the lowest where float32 sees no difference, shape
        (N,), int64, and the squared distance to it, shape (N,), float32, exact to some 1e-6
        |x|^2 and never below 0.

    Raises:
        ShapeError: If the two do not agree in D.
    """
    if frames.ndim != 2 or centroids.ndim != 2 or frames.shape[1] != centroids.shape[1]:
        raise ShapeError(
            f"k-means: found frames {tuple(frames.shape)} and centroids {tuple(centroids.shape)}, "
            "wanted (N, D) and (K, D); give both the same width."
        )
    comparison = _Comparison(centroids, torch.float32, most=len(frames))
    codes = torch.empty(len(frames), dtype=torch.int64, device=frames.device)
    distances = torch.empty(len(frames), dtype=torch.float32, device=frames.device)
    for first in range(0, len(frames), BLOCK_ROWS):
        block = frames[first : first + BLOCK_ROWS]
        here = slice(first, first + len(block))
        score, codes[here] = comparison.best(block)
        squares = torch.linalg.vector_norm(block, dim=1).square_()
        distances[here] = squares.sub_(score, alpha=2).clamp_(min=0)
    return codes, distances


@torch.no_grad()
def fit_kmeans(
    frames: Tensor,
    *,
    k: int,
    mean: Tensor,
    scale: Tensor,
    iterations: int,
    generator: torch.Generator,
    compute_dtype: str = "float32",
) -> KMeansFit:
    """Fit K centroids by Lloyd's iterations (Lloyd 1982) from a k-means++ start.

    The start is drawn by k-means++ (Arthur & Vassilvitskii 2007) from some frames for each of K,
    drawn at random: frames far from those drawn before are likelier, so few clusters share one.
    An iteration moves each centroid to the mean of its frames, and one that has none to the frame
    that lies farthest from its own centroid (several to as many frames). Frames are standardised
    a block at a time, so that memory holds them in their own type and one block.

    With `"bfloat16"` frames and centroids are rounded to 8 bits before they are compared, and so
    is what comes of it: a frame may go to a centroid that is a little farther than the nearest.
    Sums, centroids and inertia stay in float32, and the last comparison is in float32 as well, so
    that the last inertia means the same in both types; those before it are of the rounded choice.

    Args:
        frames: Shape (N, D), any floating type, on any device.
        k: K, from 1 to N.
        mean: Taken off each dimension, shape (D,).
        scale: Times each dimension after that, shape (D,).
        iterations: How many; where no frame changes its centroid any more, the rest are not run.
        generator: Draws the start.
        compute_dtype: One of `COMPUTE_DTYPES`.

    Raises:
        ParamsError: If there are fewer frames than K, a frame is not finite, or a parameter is
            out of range.
        ShapeError: If frames, mean and scale do not agree in D.
    """
    _require(frames, k=k, mean=mean, scale=scale, iterations=iterations, dtype=compute_dtype)
    sample = _Sample(frames, mean, scale)
    compute = COMPUTE_DTYPES[compute_dtype]
    places = start_places(len(frames), k, generator, sample.standardised)
    centroids = sample.standardised(places)
    now = sample.assign(centroids, compute)
    inertia = torch.empty(iterations)
    num_refilled = 0
    for step in range(iterations):
        centroids, refilled = _moved(now, sample)
        num_refilled += refilled
        if step == iterations - 1:
            compute = torch.float32
        before, now = now, sample.assign(centroids, compute)
        inertia[step:] = now.inertia(centroids)
        if torch.equal(before.codes, now.codes):  # every further iteration would repeat this one
            if compute == torch.float32:
                break
            compute = torch.float32
    return KMeansFit(
        centroids=centroids,
        inertia=inertia,
        num_refilled=num_refilled,
        num_empty=int((now.counts == 0).sum()),
    )


@dataclass(frozen=True, kw_only=True)
class _Assignment:
    """Which centroid each frame went to, and what the frames of each centroid come to.

    Attributes:
        codes: Shape (N,), int64.
        sums: Sum of the standardised frames of each centroid, shape (K, D), float32.
        counts: How many there are, shape (K,), int64.
        square: Sum of |x|^2 over all frames.
    """

    codes: Tensor
    sums: Tensor
    counts: Tensor
    square: float

    def inertia(self, centroids: Tensor) -> float:
        """Return the mean squared distance to the centroids that the frames went to.

        Of the sums alone, in float64: sum |x|^2 - 2 sum_k s_k.c_k + sum_k n_k |c_k|^2.
        """
        wide = centroids.double()
        products = (self.sums.double() * wide).sum()
        norms = (self.counts * wide.square().sum(1)).sum()
        return max(0.0, self.square - 2 * float(products) + float(norms)) / len(self.codes)


class _Comparison:
    """Finds the best centroids of one block after another in memory that is used again."""

    def __init__(self, centroids: Tensor, dtype: torch.dtype, *, most: int) -> None:
        self.centroids = centroids.to(dtype).T
        self.bias = (centroids.square().sum(1) / -2).to(dtype)
        self.scores = centroids.new_empty(min(BLOCK_ROWS, most), len(centroids), dtype=dtype)

    def best(self, block: Tensor) -> tuple[Tensor, Tensor]:
        """Return max and argmax over k of x.c_k - |c_k|^2 / 2 for each row of a block."""
        scores = self.scores[: len(block)]
        torch.addmm(self.bias, block.to(scores.dtype), self.centroids, out=scores)
        values, places = scores.max(1)
        return values.float(), places


class _Sample:
    """The frames of a fit, standardised a block at a time."""

    def __init__(self, frames: Tensor, mean: Tensor, scale: Tensor) -> None:
        self.frames = frames
        self.mean = mean.to(frames.device, torch.float32)
        self.scale = scale.to(frames.device, torch.float32)
        self.buffer = self.mean.new_empty(min(BLOCK_ROWS, len(frames)), frames.shape[1])

    def standardised(self, places: Tensor) -> Tensor:
        """Return the frames at some places, standardised, in float32."""
        places = places.to(self.frames.device)
        return (self.frames[places].float() - self.mean) * self.scale

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield the place of each block and its frames; the next block overwrites them."""
        for first in range(0, len(self.frames), BLOCK_ROWS):
            raw = self.frames[first : first + BLOCK_ROWS]
            block = self.buffer[: len(raw)].copy_(raw).sub_(self.mean).mul_(self.scale)
            yield slice(first, first + len(raw)), block

    def assign(self, centroids: Tensor, dtype: torch.dtype) -> _Assignment:
        """Give each frame its nearest centroid, compared in `dtype`, and add up the frames."""
        comparison = _Comparison(centroids, dtype, most=len(self.frames))
        codes = torch.empty(len(self.frames), dtype=torch.int64, device=self.frames.device)
        sums = torch.zeros_like(centroids)
        square = torch.zeros((), dtype=torch.float64, device=self.frames.device)
        for here, block in self.blocks():
            _, codes[here] = comparison.best(block)
            _add_rows(sums, codes[here], block)
            square += torch.linalg.vector_norm(block, dim=1).double().square().sum()
        require_finite(square)
        counts = torch.bincount(codes, minlength=len(centroids))
        return _Assignment(codes=codes, sums=sums, counts=counts, square=float(square))

    def farthest(self, centroids: Tensor, codes: Tensor, num: int) -> Tensor:
        """Return the places of the frames farthest from their centroids, the lowest of equals."""
        distances = [
            torch.linalg.vector_norm(block - centroids[codes[here]], dim=1)
            for here, block in self.blocks()
        ]
        return torch.sort(torch.cat(distances), descending=True, stable=True).indices[:num]


def _moved(now: _Assignment, sample: _Sample) -> tuple[Tensor, int]:
    """Return the means of the assigned frames, and how many had none and took a far frame."""
    centroids = now.sums / now.counts.clamp(min=1)[:, None]
    empty = torch.nonzero(now.counts == 0)[:, 0]
    if len(empty):
        places = sample.farthest(centroids, now.codes, len(empty))
        centroids[empty] = sample.standardised(places)
    return centroids, len(empty)


def _add_rows(sums: Tensor, codes: Tensor, block: Tensor) -> None:
    """Add each row of a block to the sum of its centroid, always in the same order."""
    if sums.is_cuda:
        # index_add_ adds in any order there, so that its last bits are not the same every time.
        one_hot = block.new_zeros(len(block), len(sums)).scatter_(1, codes[:, None], 1.0)
        sums.addmm_(one_hot.T, block)
    else:
        sums.index_add_(0, codes, block)


def _require(
    frames: Tensor, *, k: int, mean: Tensor, scale: Tensor, iterations: int, dtype: str
) -> None:
    wanted = frames.shape[1:]
    if frames.ndim != 2 or mean.shape != wanted or scale.shape != wanted:
        raise ShapeError(
            f"k-means: found frames {tuple(frames.shape)}, mean {tuple(mean.shape)} and scale "
            f"{tuple(scale.shape)}, wanted (N, D), (D,) and (D,); give all the same width."
        )
    if k < 1:
        raise ParamsError(f"k-means: k is {k}, wanted at least 1; raise k.")
    if iterations < 1:
        raise ParamsError(f"k-means: iterations is {iterations}, wanted at least 1; raise it.")
    if dtype not in COMPUTE_DTYPES:
        raise ParamsError(
            f"k-means: compute_dtype is {dtype!r}, wanted one of {list(COMPUTE_DTYPES)}; "
            "choose one of them."
        )
    if len(frames) < k:
        raise ParamsError(
            f"k-means: found {len(frames)} frames, wanted at least one for each of k = {k} "
            "centroids; lower k, or fit on more clips."
        )
