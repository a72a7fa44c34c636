"""BLEU, ROUGE-L and CIDEr-D against twins by their definitions, and pycocoevalcap's values."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.captions import bleu_counts, bleu_of, cider_d, rouge_l
from pipeline.evaluation.text_scores import caption_scores, word_error_interval
from pipeline.evaluation.word_errors import word_error_rate

WORDS = st.lists(st.sampled_from(["low", "high", "voice", "a"]), max_size=9)
PAIRS = st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8)

# What pycocoevalcap 1.2 gives of these, its sentences split at spaces.
GIVEN = [
    "the voice is low steady and loud",
    "the voice is high lively and soft it speaks fast",
    "a clear voice that speaks slow",
]
TOLD = [
    "the voice is low steady and soft",
    "the voice is high lively and loud",
    "a rough voice that speaks slow",
]
PUBLISHED = {"bleu4": 0.634568, "rouge_l": 0.791529, "cider_d": 5.990958}


def ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def naive_bleu(pairs: list[tuple[list[str], list[str]]]) -> float:
    shares = []
    for n in (1, 2, 3, 4):
        hits = total = 0
        for reference, said in pairs:
            wanted, found = ngrams(reference, n), ngrams(said, n)
            hits += sum(min(found.count(gram), wanted.count(gram)) for gram in set(found))
            total += len(found)
        if hits == 0:
            return 0.0
        shares.append(hits / total)
    num_said, num_given = (sum(len(pair[i]) for pair in pairs) for i in (1, 0))
    brevity = 1.0 if num_said > num_given else math.exp(1 - num_given / num_said)
    return brevity * math.prod(shares) ** (1 / 4)


def naive_rouge(reference: list[str], said: list[str]) -> float:
    @cache
    def common(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return 0
        if reference[i - 1] == said[j - 1]:
            return common(i - 1, j - 1) + 1
        return max(common(i - 1, j), common(i, j - 1))

    length = common(len(reference), len(said))
    if length == 0:
        return 0.0
    precision, recall = length / len(said), length / len(reference)
    return (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)


def naive_cider(pairs: list[tuple[list[str], list[str]]]) -> list[float]:
    """Return CIDEr-D with a dense vector over all n-grams of each n."""
    found = []
    for reference, said in pairs:
        cosines = []
        for n in (1, 2, 3, 4):
            axes = sorted({gram for pair in pairs for words in pair for gram in ngrams(words, n)})
            counts = [
                [ngrams(words, n).count(gram) for gram in axes] for words in (said, reference)
            ]
            frequency = [sum(gram in ngrams(r, n) for r, _ in pairs) for gram in axes]
            rarity = np.array([math.log(len(pairs) / max(1, f)) for f in frequency])
            g_said, g_reference = (np.array(c) * rarity for c in counts)
            norm = np.linalg.norm(g_said) * np.linalg.norm(g_reference)
            product = np.minimum(g_said, g_reference) @ g_reference
            cosines.append(product / norm if norm else 0.0)
        gap = len(said) - len(reference)
        found.append(10 * math.exp(-(gap**2) / (2 * 6**2)) * float(np.mean(cosines)))
    return found


def sentences(pairs: list[tuple[list[str], list[str]]]) -> tuple[list[str], list[str]]:
    return [" ".join(r) for r, _ in pairs], [" ".join(s) for _, s in pairs]


@settings(max_examples=200)
@given(PAIRS)
def test_each_is_its_definition(pairs: list[tuple[list[str], list[str]]]) -> None:
    references, said = sentences(pairs)
    assert bleu_of(bleu_counts(references, said).sum(0)) == pytest.approx(naive_bleu(pairs))
    assert rouge_l(references, said) == pytest.approx([naive_rouge(r, s) for r, s in pairs])
    assert cider_d(references, said) == pytest.approx(naive_cider(pairs))


def test_each_is_what_pycocoevalcap_says() -> None:
    found = caption_scores(GIVEN, TOLD, ["a", "b", "b"])
    assert {name: one.value for name, one in found.items()} == pytest.approx(PUBLISHED, abs=5e-5)


@settings(max_examples=20)
@given(PAIRS)
def test_what_is_said_word_for_word_is_best(pairs: list[tuple[list[str], list[str]]]) -> None:
    references, said = sentences(pairs)
    best = caption_scores(references, references, range(len(pairs)))
    found = caption_scores(references, said, range(len(pairs)))
    assert best["rouge_l"].value == 1
    for name, one in found.items():
        assert 0 <= one.value <= best[name].value + 1e-9 <= 10 + 1e-6


def test_case_and_punctuation_do_not_count() -> None:
    plain = caption_scores(GIVEN, TOLD, ["a", "b", "b"])
    loud = [f"{text.upper()}!" for text in TOLD]
    assert caption_scores(GIVEN, loud, ["a", "b", "b"]) == plain


def test_bleu_of_draws_is_of_their_clips_together_not_a_mean() -> None:
    speakers = [f"s{i % 4}" for i in range(24)]
    found = caption_scores(GIVEN * 8, (TOLD + TOLD[::-1]) * 4, speakers)["bleu4"]
    pairs = [
        (g.split(), t.split()) for g, t in zip(GIVEN * 8, (TOLD + TOLD[::-1]) * 4, strict=True)
    ]
    assert found.value == pytest.approx(naive_bleu(pairs))
    alone = [
        naive_bleu([p for p, s in zip(pairs, speakers, strict=True) if s == x])
        for x in ["s0", "s1", "s2", "s3"]
    ]
    assert min(alone) <= found.low <= found.value <= found.high <= max(alone)


@settings(max_examples=50)
@given(PAIRS)
def test_word_errors_have_the_rate_of_all_texts_within_their_ends(
    pairs: list[tuple[list[str], list[str]]],
) -> None:
    given_texts, heard = sentences(pairs)
    found = word_error_interval(given_texts, heard, range(len(pairs)))
    rate = word_error_rate(given_texts, heard)
    assert found is not None
    assert rate is not None
    assert found.value == pytest.approx(rate[0])
    each = [word_error_rate([g], [h]) for g, h in zip(given_texts, heard, strict=True)]
    rates = sorted(one[0] for one in each if one is not None)
    assert rates[0] - 1e-9 <= found.low <= found.high <= rates[-1] + 1e-9


def test_texts_without_a_word_given_have_no_rate() -> None:
    assert word_error_interval(["", "?"], ["a", ""], [0, 1]) is None
    found = word_error_interval(["", "a b"], ["x", "a"], ["one", "two"])
    assert found is not None
    assert found.value == 0.5
