"""Word error rates: jiwer's against an edit distance of our own."""

from functools import cache

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.word_errors import word_error_rate
from pipeline.transcription.rates import rates_by_corpus

TEXTS = st.lists(st.sampled_from("a b c dd".split()), max_size=6).map(" ".join)  # noqa: SIM905


def edits(given: list[str], heard: list[str]) -> int:
    """Levenshtein's distance over words, by its definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        substituted = distance(i - 1, j - 1) + (given[i - 1] != heard[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, substituted)

    return distance(len(given), len(heard))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_the_rate_is_edits_over_words_given(pairs: list[tuple[str, str]]) -> None:
    counted = [(g.split(), h.split()) for g, h in pairs if g]
    num_words = sum(len(g) for g, _ in counted)
    wanted = sum(edits(g, h) for g, h in counted) / num_words if num_words else None
    found = word_error_rate([g for g, _ in pairs], [h for _, h in pairs])
    assert found == (None if wanted is None else (pytest.approx(wanted), len(counted)))


def test_case_punctuation_and_spaces_do_not_count() -> None:
    given = "  Kids are\ttalking — by the door…"
    assert word_error_rate([given], ["kids ARE, talking by the door!"]) == (0, 1)
    assert word_error_rate(["it's a dog"], ["its the dog"]) == (pytest.approx(1 / 3), 1)
    assert word_error_rate(["?!"], ["a word"]) is None


def test_corpora_are_told_one_by_one_and_together() -> None:
    table = pd.DataFrame(
        {
            "corpus": ["x", "y", "y", "z"],
            "given": ["a b", "a b c", "a", "..."],
            "recognised": ["a c", "a b c", "", "a"],
        }
    )
    found = rates_by_corpus(table)
    assert list(found) == ["all", "x", "y"]
    assert found["all"] == (pytest.approx(2 / 6), 3)
    assert found["x"] == (0.5, 1)
    assert found["y"] == (0.25, 2)
    assert list(rates_by_corpus(table[table["corpus"] == "x"])) == ["x"]
    assert rates_by_corpus(table[:0]) == {}
