"""What a head writes against what was written down, scored with intervals."""

from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.bootstrap import Interval, mean_intervals, sum_interval
from pipeline.evaluation.captions import bleu_counts, bleu_of, cider_d, rouge_l
from pipeline.evaluation.word_errors import normalised, word_edits

BLEU4, ROUGE_L, CIDER_D = "bleu4", "rouge_l", "cider_d"
CAPTION_SCORES = (BLEU4, ROUGE_L, CIDER_D)


def caption_scores(
    references: Sequence[str], said: Sequence[str], clusters: Sequence[object]
) -> dict[str, Interval]:
    """Return `CAPTION_SCORES`: BLEU@4 of all clips together, the means of the other two.

    Texts are normalised first. How rare an n-gram is to CIDEr-D is counted once, in all references.

    Args:
        references: One of each clip, at least one clip.
        said: What a head wrote of it.
        clusters: What intervals resample, one for each clip.
    """
    given, told = normalised(references), normalised(said)
    means = np.column_stack([rouge_l(given, told), cider_d(given, told)])
    rouge, cider = mean_intervals(means, clusters)
    bleu = sum_interval(
        bleu_counts(given, told), clusters, lambda sums: np.array([bleu_of(one) for one in sums])
    )
    return {BLEU4: bleu, ROUGE_L: rouge, CIDER_D: cider}


def word_error_interval(
    given: Sequence[str], heard: Sequence[str], clusters: Sequence[object]
) -> Interval | None:
    """Return the word error rate of all texts together; None where nothing given has a word."""
    edits = word_edits(given, heard)
    if not edits[:, 1].any():
        return None
    with np.errstate(invalid="ignore"):
        return sum_interval(edits, clusters, lambda sums: sums[:, 0] / sums[:, 1])
