"""Word error rates by jiwer, and how texts become words."""

from collections.abc import Sequence

import numpy as np

NORMALISATION = "lower case, punctuation removed, spaces collapsed"


def normalised(texts: Sequence[str]) -> list[str]:
    """Return texts as they are compared, words with one space between, as `NORMALISATION` says."""
    import jiwer

    normalise = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.RemoveWhiteSpace(replace_by_space=True),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
        ]
    )
    return [normalise(text) for text in texts]


def word_edits(given: Sequence[str], recognised: Sequence[str]) -> np.ndarray:
    """Return substitutions + deletions + insertions of each text, and the words given of it.

    Args:
        given: What was said, N texts.
        recognised: What was heard.

    Returns:
        Counts, shape (N, 2); zeros for a text given without a word.
    """
    import jiwer

    counts = np.zeros((len(given), 2), dtype=np.int64)
    pairs = list(zip(normalised(given), normalised(recognised), strict=True))
    for i, (reference, hypothesis) in enumerate(pairs):
        if reference:
            found = jiwer.process_words(reference, hypothesis)
            edits = found.substitutions + found.deletions + found.insertions
            counts[i] = edits, found.hits + found.substitutions + found.deletions
    return counts


def word_error_rate(given: Sequence[str], recognised: Sequence[str]) -> tuple[float, int] | None:
    """Return (substitutions + deletions + insertions) / words given, over all texts together.

    Texts given without a word are left out.

    Args:
        given: What was said.
        recognised: What was heard.

    Returns:
        The rate, and how many texts it is over; None where nothing given has a word.
    """
    counts = word_edits(given, recognised)
    edits, words = counts.sum(0)
    return (float(edits / words), int((counts[:, 1] > 0).sum())) if words else None
