"""How near a sentence comes to another one, as image captioning measures it, one reference a clip.

    BLEU@4 = BP (p_1 p_2 p_3 p_4)^(1/4), BP = min(1, exp(1 - r / h))     Papineni et al. 2002
    ROUGE-L = (1 + b^2) P R / (R + b^2 P), b = 1.2                       Lin 2004
    CIDEr-D = 10 mean_n exp(-(h - r)^2 / 72) min(g_h, g_r) . g_r / (|g_h| |g_r|)
                                                               Vedantam et al. 2015, Eq. 5

p_n are the shares of n-grams of the sentences said that are in their references, over all clips
together; r and h are words; P and R the longest common subsequence over the words of what is said
and of the reference; g the n-grams' counts times log(N / how many references have the n-gram).
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

MOST_WORDS = 4  # of an n-gram
BETA = 1.2
SIGMA = 6.0
CIDER_SCALE = 10.0

Gram = tuple[str, ...]


def bleu_counts(references: Sequence[str], said: Sequence[str]) -> np.ndarray:
    """Return what BLEU is made of for each clip: matches and n-grams, n 1 to 4, words said, given.

    Args:
        references: Words with spaces between, N sentences.
        said: Likewise.

    Returns:
        Counts, shape (N, 10).
    """
    from sacrebleu.metrics import BLEU

    # Whatever the sentence scores are, only their counts are used.
    counter = BLEU(tokenize="none", smooth_method="none", effective_order=True)
    found = np.zeros((len(references), 2 * MOST_WORDS + 2), dtype=np.int64)
    for i, (reference, hypothesis) in enumerate(zip(references, said, strict=True)):
        one = counter.sentence_score(hypothesis, [reference])
        found[i] = [*one.counts, *one.totals, one.sys_len, one.ref_len]
    return found


def bleu_of(counts: np.ndarray) -> float:
    """Return BLEU@4 of summed counts (10,), 0 to 1; 0 where some n has no match."""
    from sacrebleu.metrics import BLEU

    *grams, num_said, num_given = counts.tolist()
    matches, totals = grams[:MOST_WORDS], grams[MOST_WORDS:]
    if not all(matches):
        return 0.0
    found = BLEU.compute_bleu(matches, totals, num_said, num_given, smooth_method="none")
    return float(found.score) / 100


def rouge_l(references: Sequence[str], said: Sequence[str]) -> np.ndarray:
    """Return ROUGE-L of each clip, 0 to 1, shape (N,)."""
    return np.array([_rouge_l(r.split(), h.split()) for r, h in zip(references, said, strict=True)])


def _rouge_l(reference: list[str], said: list[str]) -> float:
    common = _longest_common(reference, said)
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(reference)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest subsequence of both."""
    best = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for i, other in enumerate(second, start=1):
            above = best[i]
            best[i] = diagonal + 1 if word == other else max(above, best[i - 1])
            diagonal = above
    return best[-1]


def cider_d(references: Sequence[str], said: Sequence[str]) -> np.ndarray:
    """Return CIDEr-D of each clip, 0 to 10, shape (N,).

    How rare an n-gram is is counted in these references, so a value depends on which clips are
    scored; what every reference has counts for nothing.
    """
    given = [_grams(sentence) for sentence in references]
    frequencies = Counter(gram for grams in given for gram in grams)
    found = np.zeros(len(given))
    for i, (reference, sentence) in enumerate(zip(given, said, strict=True)):
        hypothesis = _grams(sentence)
        gap = len(sentence.split()) - len(references[i].split())
        nearness = math.exp(-(gap**2) / (2 * SIGMA**2))
        weights = {
            gram: math.log(len(given)) - math.log(max(1, frequencies[gram]))
            for gram in {*reference, *hypothesis}
        }
        cosines = [
            _clipped_cosine(hypothesis, reference, weights, n) for n in range(1, MOST_WORDS + 1)
        ]
        found[i] = CIDER_SCALE * nearness * sum(cosines) / MOST_WORDS
    return found


def _grams(sentence: str) -> Counter[Gram]:
    """Return how often each n-gram occurs, n from 1 to 4."""
    words = sentence.split()
    return Counter(
        tuple(words[i : i + n]) for n in range(1, MOST_WORDS + 1) for i in range(len(words) - n + 1)
    )


def _clipped_cosine(
    said: Counter[Gram], reference: Counter[Gram], weights: dict[Gram, float], n: int
) -> float:
    g_said, g_reference = (
        {gram: weights[gram] * count for gram, count in grams.items() if len(gram) == n}
        for grams in (said, reference)
    )
    product = sum(
        min(value, g_reference[gram]) * g_reference[gram]
        for gram, value in g_said.items()
        if gram in g_reference
    )
    norms = [math.sqrt(sum(v * v for v in g.values())) for g in (g_said, g_reference)]
    return product / (norms[0] * norms[1]) if all(norms) else 0.0
