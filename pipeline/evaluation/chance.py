"""What guessing reaches, so that a head that has learnt nothing is told from one that has."""

import numpy as np

SURE = 2.0  # standard errors above chance, from which a score is not guessed


def chance_of(labels: np.ndarray) -> tuple[float, float]:
    """Return the UA of guessing, and how far above it guesses on these clips still come.

    A guess is right in one of C clips, C the classes that occur. The recall of a class of n clips
    has then the variance (1/C)(1 - 1/C)/n, and UA is the mean of C recalls:

        chance = 1/C,    bound = chance + 2 sqrt(sum over c of (1/C)(1 - 1/C) / n_c) / C

    Args:
        labels: Class indices, shape (B,), at least one.

    Returns:
        Chance, and the bound; both 1 where there is one class alone.
    """
    _, counts = np.unique(labels, return_counts=True)
    chance = 1 / len(counts)
    deviation = np.sqrt(np.sum(chance * (1 - chance) / counts)) / len(counts)
    return chance, chance + SURE * float(deviation)
