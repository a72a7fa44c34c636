"""Where k-means begins: frames far from each other (Arthur & Vassilvitskii 2007)."""

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.errors import ParamsError

START_FRAMES = 8
"""Frames for each of K that the start is drawn from."""


def start_places(
    num_frames: int, k: int, generator: torch.Generator, standardised: Callable[[Tensor], Tensor]
) -> Tensor:
    """Draw the places of K different frames by k-means++, sorted, on the CPU, shape (K,).

    Args:
        num_frames: N, at least K.
        k: K.
        generator: Of all that is drawn.
        standardised: Gives the frames at some places.

    Raises:
        ParamsError: If a frame is not finite.
    """
    from sklearn.cluster import kmeans_plusplus

    order = torch.randperm(num_frames, generator=generator, device=generator.device)
    drawn = order[: START_FRAMES * k].cpu().sort().values
    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    frames = standardised(drawn)
    require_finite(frames)
    _, chosen = kmeans_plusplus(frames.cpu().numpy(), k, random_state=seed)
    return drawn[torch.from_numpy(chosen).long()].sort().values


def require_finite(values: Tensor) -> None:
    """Refuse frames, or what was made of them, that are not numbers.

    Raises:
        ParamsError: If one is not finite.
    """
    if not torch.isfinite(values).all():
        raise ParamsError(
            "k-means: found frames that are not finite, wanted numbers only; leave out the clips "
            "that hold them, or extract them anew."
        )
