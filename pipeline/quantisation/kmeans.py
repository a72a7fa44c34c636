"""k-means by Lloyd's iterations, as matrix products over blocks of frames.

    code(x) = argmin_k |x - c_k|^2 = argmax_k (x . c_k - |c_k|^2 / 2)

Frames stay in the type they are stored in and are standardised block by block, so memory is the
sample and one block beside it. On one device the same frames and seed give the same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import ParamsError

BLOCK_ROWS = 4096  # frames times centroids are in memory for one block


@dataclass(frozen=True, kw_only=True)
class KMeansFit:
    """What k-means found.

    Attributes:
        centroids: Of standardised frames, float32, shape (K, D).
        inertia: Mean squared distance of a frame to its centroid after each iteration, float32,
            shape (I,).
        num_empty: Centroids that no frame is nearest to at the end.
    """

    centroids: Tensor
    inertia: Tensor
    num_empty: int


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
    """Fit K centroids to frames, starting from K different ones (Lloyd 1982).

    A centroid that no frame is nearest to takes the frame that is farthest from its own; several
    take several.

    Args:
        frames: Of any float type, shape (N, D), on any device.
        k: K.
        mean: Taken off each frame first, float32, shape (D,).
        scale: What a frame is multiplied by then, float32, shape (D,).
        iterations: I, each of them a look at all frames; one more look ends it.
        generator: Of the first centroids, on the CPU.
        compute_dtype: `"float32"`, or `"bfloat16"` for the products that choose among centroids in
            the iterations: about twice as fast where the machine has them, the choice among nearly
            equal ones is then rough. Distances and centroids are float32 in both.

    Raises:
        ParamsError: If there are fewer frames than centroids.
    """
    if len(frames) < k:
        raise ParamsError(f"k-means: found {len(frames)} frames for {k} centroids; take fewer.")
    kind = getattr(torch, compute_dtype)
    first = torch.randperm(len(frames), generator=generator)[:k].sort().values
    centroids = _standardised(frames[first.to(frames.device)], mean, scale)
    places, distances = _look(frames, centroids, mean, scale, kind)
    curve = []
    for i in range(iterations):
        centroids = _means(frames, places, distances, centroids, mean, scale)
        # The last look is the one that is told: it is exact.
        exact = kind if i + 1 < iterations else torch.float32
        before, (places, distances) = places, _look(frames, centroids, mean, scale, exact)
        curve.append(distances.mean(dtype=torch.float64).float())
        if torch.equal(before, places):
            curve += curve[-1:] * (iterations - i - 1)
            break
    return KMeansFit(
        centroids=centroids,
        inertia=torch.stack(curve),
        num_empty=int((torch.bincount(places, minlength=k) == 0).sum()),
    )


def nearest(
    frames: Tensor, centroids: Tensor, compute_dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return the nearest centroid of each frame, the first of equals, and how far it is.

    Args:
        frames: Standardised, float32, shape (N, D).
        centroids: Shape (K, D).
        compute_dtype: Of the products; float32 is exact to its rounding.

    Returns:
        Numbers of centroids, int64, and squared distances, float32, both of shape (N,).
    """
    half = centroids.square().sum(1) / 2
    columns = centroids.T.to(compute_dtype)
    places = torch.empty(len(frames), dtype=torch.int64, device=frames.device)
    distances = torch.empty(len(frames), device=frames.device)
    for block in _blocks(len(frames)):
        part = frames[block]
        if compute_dtype == torch.float32:
            scores = torch.addmm(half, part, columns, beta=-1)
        else:
            scores = (part.to(compute_dtype) @ columns).float().sub_(half)
        places[block] = scores.argmax(1)
        distances[block] = (part - centroids[places[block]]).square().sum(1)
    return places, distances


def _look(
    frames: Tensor, centroids: Tensor, mean: Tensor, scale: Tensor, compute_dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the nearest centroid of each stored frame, and how far it is."""
    found = [
        nearest(_standardised(frames[block], mean, scale), centroids, compute_dtype)
        for block in _blocks(len(frames))
    ]
    return torch.cat([places for places, _ in found]), torch.cat([far for _, far in found])


def _means(
    frames: Tensor,
    places: Tensor,
    distances: Tensor,
    centroids: Tensor,
    mean: Tensor,
    scale: Tensor,
) -> Tensor:
    """Return the mean of each centroid's frames; those without take the farthest frames."""
    sums = torch.zeros_like(centroids)
    for block in _blocks(len(frames)):
        part, own = _standardised(frames[block], mean, scale), places[block]
        if frames.device.type == "cpu":
            sums.index_add_(0, own, part)
        else:
            # index_add_ adds in any order there, and another order gives other bits.
            sums += torch.nn.functional.one_hot(own, len(centroids)).float().T @ part
    counts = torch.bincount(places, minlength=len(centroids))
    result = sums / counts.clamp(min=1)[:, None]
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        farthest = distances.argsort(descending=True, stable=True)[: len(empty)]
        result[empty] = _standardised(frames[farthest], mean, scale)
    return result


def _standardised(frames: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return (frames.float() - mean).mul_(scale)


def _blocks(num_frames: int) -> Iterator[slice]:
    for start in range(0, num_frames, BLOCK_ROWS):
        yield slice(start, start + BLOCK_ROWS)
