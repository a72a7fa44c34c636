"""Recognised texts against given ones: word error rates by jiwer."""

from collections.abc import Sequence

import pandas as pd

NORMALISATION = "lower case, punctuation removed, spaces collapsed"
ALL = "all"


def word_error_rate(given: Sequence[str], recognised: Sequence[str]) -> tuple[float, int] | None:
    """Return (substitutions + deletions + insertions) / words given, over all texts together.

    Both are normalised first, as `NORMALISATION` says. Texts given without a word are left out.

    Args:
        given: What was said.
        recognised: What was heard.

    Returns:
        The rate, and how many texts it is over; None where nothing given has a word.
    """
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
    pairs = [(normalise(g), normalise(r)) for g, r in zip(given, recognised, strict=True)]
    counted = [pair for pair in pairs if pair[0]]
    if not counted:
        return None
    references, hypotheses = zip(*counted, strict=True)
    return float(jiwer.wer(list(references), list(hypotheses))), len(counted)


def rates_by_corpus(table: pd.DataFrame) -> dict[str, tuple[float, int]]:
    """Return the word error rate of each corpus and how many texts it is over.

    Args:
        table: Columns corpus, given and recognised.

    Returns:
        By corpus; under `ALL` that of all together, first, where there are several.
    """
    parts = {str(corpus): part for corpus, part in table.groupby("corpus", sort=True)}
    if len(parts) > 1:
        parts = {ALL: table, **parts}
    found = {}
    for name, part in parts.items():
        rate = word_error_rate(part["given"].tolist(), part["recognised"].tolist())
        if rate is not None:
            found[name] = rate
    return found
