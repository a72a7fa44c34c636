"""How often clusters of clips are drawn with replacement, and how many times that is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

NUM_DRAWS = 2000
FEWEST_DRAWS, MOST_DRAWS = 100, 100_000  # the ends of 95 % are 2.5 of the fewest
WEIGHTS_AT_ONCE = 10_000_000  # numbers held while clusters are drawn

# Of every interval in a block of `draws_taken`. What is made in worker processes has the default.
_num_draws: ContextVar[int] = ContextVar("num_draws", default=NUM_DRAWS)


@contextmanager
def draws_taken(number: int) -> Iterator[None]:
    """Let intervals that are made in a block be of so many draws."""
    before = _num_draws.set(number)
    try:
        yield
    finally:
        _num_draws.reset(before)


def num_draws() -> int:
    """Return of how many draws an interval is."""
    return _num_draws.get()


def draws_of_clusters(num_clusters: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each cluster was drawn, `num_draws` rows in portions, shape (n, G).

    One seed draws the same of any clusters of the same number; more draws begin with the fewer.
    """
    generator = np.random.default_rng(seed)
    even = np.full(num_clusters, 1 / num_clusters)
    at_once = max(1, WEIGHTS_AT_ONCE // num_clusters)
    for begin in range(0, num_draws(), at_once):
        size = min(at_once, num_draws() - begin)
        yield generator.multinomial(num_clusters, even, size=size)
