"""A bounded sample of frames, drawn evenly over speakers and over the clips of each."""

import numpy as np


def even_sample(
    num_frames: np.ndarray, speakers: np.ndarray, budget: int, seed: int
) -> list[np.ndarray]:
    """Return which frames of each clip are drawn, without replacement.

    A speaker gives as much as any other, and a clip as any other of its speaker, to within one
    frame, until it has no more; what it lacks the others give.

    Args:
        num_frames: Of each clip, shape (N,).
        speakers: Of each clip, shape (N,), texts.
        budget: The most frames of all clips together.
        seed: Of the draw.

    Returns:
        N ascending arrays of frame numbers, int64.
    """
    draw = np.random.default_rng(seed)
    names, own = np.unique(speakers, return_inverse=True)
    totals = np.bincount(own, weights=num_frames, minlength=len(names)).astype(np.int64)
    quotas = np.zeros(len(num_frames), np.int64)
    for speaker, quota in enumerate(_filled(totals, budget, draw)):
        clips = np.flatnonzero(own == speaker)
        quotas[clips] = _filled(num_frames[clips], int(quota), draw)
    return [
        np.sort(draw.choice(there, taken, replace=False)).astype(np.int64)
        for there, taken in zip(num_frames.tolist(), quotas.tolist(), strict=True)
    ]


def _filled(sizes: np.ndarray, budget: int, draw: np.random.Generator) -> np.ndarray:
    """Return how much each gives so that all give alike, no more than they have, (N,).

    It is water let into vessels: those that are full stop, the level of the others rises. Who gives
    one more where it does not divide is drawn.
    """
    if budget >= sizes.sum():
        return sizes.astype(np.int64)
    level, left, open_ = 0, budget, np.flatnonzero(sizes > 0)
    while left >= len(open_):
        rise = min(left // len(open_), int(sizes[open_].min()) - level)
        level += rise
        left -= rise * len(open_)
        open_ = open_[sizes[open_] > level]
    result: np.ndarray = np.minimum(sizes, level).astype(np.int64)
    result[draw.choice(open_, left, replace=False)] += 1
    return result
