"""Word error rates of recognised texts, corpus by corpus."""

import pandas as pd

from pipeline.evaluation.word_errors import word_error_rate

ALL = "all"


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
