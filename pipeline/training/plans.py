"""Which clips each step of a phase sees, a function of seed and step alone.

Dense views lie in memory, so a step may draw any clips. Frames are streamed: an epoch shuffles the
shards and cuts them into pools; the clips of a pool are shuffled, sorted by length into batches,
and the batches shuffled. A run resumed at a step draws what it would have drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch

from pipeline.errors import ManifestError
from pipeline.heads.phase import Phase
from pipeline.sources.source import Pool
from pipeline.training.draws import batch_rows, drawn_rows, mixed_seed
from pipeline.training.weighting import Weighting


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a plan knows of the clips; it opens no shard.

    Attributes:
        classes: The likeliest class of each clip's target, shape (N,).
        lengths: Frames of each clip, shape (N,); zeros where no frames are read.
        shards: The shard that each clip's frames lie in, shape (N,); zeros in memory.
        pool_shards: Shards of a pool.
    """

    classes: np.ndarray
    lengths: np.ndarray
    shards: np.ndarray
    pool_shards: int


def plan_steps(
    phase: Phase, seed: int, weighting: Weighting, layout: Layout, *, first_step: int
) -> Iterator[Pool]:
    """Yield pools of batches from a step on, without end.

    Args:
        phase: The phase.
        seed: Of the phase.
        weighting: How often clips are drawn.
        layout: Of the clips.
        first_step: Of the phase, from 0; the first batch is that step's.

    Raises:
        ManifestError: If no batch can be made.
    """
    if phase.sampler == "even" and not layout.lengths.any():
        draw = torch.from_numpy(weighting.draw)
        for step in count(first_step):
            if weighting.is_even:
                rows = batch_rows(step, len(draw), phase.batch_size, seed)
            else:
                rows = drawn_rows(step, draw, phase.batch_size, seed)
            yield [rows.numpy()]
    to_skip = first_step
    for epoch in count():
        pools = _epoch(epoch, phase, seed, weighting, layout)
        if not any(pools):
            raise ManifestError(
                f"phase {phase.name!r}: found no class with two clips in a pool of shards, wanted "
                "pairs of clips of one class; add clips, or raise train.pool_shards."
            )
        for pool in pools:
            skipped = min(to_skip, len(pool))
            to_skip -= skipped
            if skipped < len(pool):
                yield pool[skipped:]


def _epoch(
    epoch: int, phase: Phase, seed: int, weighting: Weighting, layout: Layout
) -> list[list[np.ndarray]]:
    generator = np.random.default_rng(mixed_seed(seed, 5, epoch))
    shards = generator.permutation(np.unique(layout.shards))
    pools = []
    for start in range(0, len(shards), layout.pool_shards):
        chosen = shards[start : start + layout.pool_shards]
        members = np.flatnonzero(np.isin(layout.shards, chosen))
        drawn = _drawn(members, weighting, generator)
        if phase.sampler != "even":
            pairs = _pairs(drawn, layout.classes, generator)
            if phase.sampler == "balanced":
                pairs = _as_many_of_each(pairs, generator)
            batches = _batches_of(pairs, phase.batch_size, generator)
        else:
            ordered = drawn[np.argsort(layout.lengths[drawn], kind="stable")]
            batches = _even_parts(ordered, phase.batch_size)
        pools.append([batches[i] for i in generator.permutation(len(batches))])
    return pools


def _drawn(members: np.ndarray, weighting: Weighting, generator: np.random.Generator) -> np.ndarray:
    """Return a pool's clips in random order, as often as their weights say."""
    if weighting.is_even:
        return generator.permutation(members)
    chances = weighting.draw[members] / weighting.draw[members].sum()
    return generator.choice(members, len(members), p=chances)


def _pairs(
    drawn: np.ndarray, classes: np.ndarray, generator: np.random.Generator
) -> list[np.ndarray]:
    """Return pairs of different clips of each class, (N, 2); a class of one clip is left out."""
    pairs = []
    for label in np.unique(classes[drawn]):
        mine = np.unique(drawn[classes[drawn] == label])
        if len(mine) < 2:
            continue
        mine = generator.permutation(mine)
        # An odd one out goes with the first, which is then there twice.
        mine = np.append(mine, mine[:1]) if len(mine) % 2 else mine
        pairs.append(mine.reshape(-1, 2))
    return pairs


def _as_many_of_each(pairs: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    """Return about as many pairs as before, of each class alike; rare ones come more than once."""
    each = max(round(sum(map(len, pairs)) / max(len(pairs), 1)), 1)
    return [mine[_repeated(len(mine), each, generator)] for mine in pairs]


def _repeated(num: int, times: int, generator: np.random.Generator) -> np.ndarray:
    """Return so many of the numbers below `num`, each as often as the next, give or take one."""
    rounds = [generator.permutation(num) for _ in range(-(-times // num))]
    return np.concatenate(rounds)[:times]


def _batches_of(
    pairs: list[np.ndarray], batch_size: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Return batches of shuffled pairs."""
    every = [pair for mine in pairs for pair in mine]
    shuffled = [every[i] for i in generator.permutation(len(every))]
    return [np.concatenate(part) for part in _even_parts(shuffled, max(batch_size // 2, 1))]


def _even_parts(items: list[np.ndarray] | np.ndarray, size: int) -> list[np.ndarray]:
    """Cut items into parts of nearly the same size, about `size`."""
    if not len(items):
        return []
    return np.array_split(np.asarray(items), max(round(len(items) / size), 1))
