"""Which classes the parts of a split have."""

import pandas as pd

JUDGED = ("dev", "test")


def lacking_sentences(split: pd.Series, names: pd.Series) -> list[str]:
    """Say of each part which classes of train it lacks; nothing of a part without labels.

    Args:
        split: Part of each row.
        names: Class of each row, "" where it has none.
    """
    trained = set(names[split == "train"]) - {""}
    sentences = []
    for part in JUDGED:
        present = set(names[split == part]) - {""}
        lacking = sorted(trained - present)
        if present and lacking:
            sentences.append(
                f"{part} lacks {', '.join(lacking)}, which train has: scores on {part} say nothing "
                "of that"
            )
    return sentences
