"""How fast somebody speaks, by vowel groups or peaks of loudness."""

import numpy as np
import pandas as pd
import pytest

from pipeline.descriptions.speed import speeds, vowel_groups

VOWELS = "aeiouy"


@pytest.mark.parametrize(
    ("text", "num"),
    [
        ("Kids are talking by the door.", 8),
        ("", 0),
        ("Hmm!", 0),
        ("ÉTÉ à Łódź", 4),
        ("Lubię czytać przed snem.", 6),
    ],
)
def test_vowels_that_stand_together_are_one_group_with_accents_or_without(
    text: str, num: int
) -> None:
    assert vowel_groups(text, VOWELS) == num


def test_other_scripts_name_their_own_vowels() -> None:
    assert vowel_groups("Добрый день", VOWELS) == 0
    assert vowel_groups("Доброе утро", "аеиоуыэюя") == 4
    assert vowel_groups("a-b]c", "]-") == 2


def test_speed_is_told_by_texts_where_most_clips_of_a_corpus_have_one() -> None:
    table = pd.DataFrame(
        {"peaks_per_s": [5.0] * 6, "voiced_s": [2.0, np.nan, 0.5, 1.0, 1.0, 1.0]},
    )
    texts = pd.Series(["a b a", "a", "", "a", "", "Hmm"])
    corpora = pd.Series(["one", "one", "one", "two", "two", "two"])
    found = speeds(table, texts, corpora, VOWELS)
    # No peaks among vowels per second, not even where a clip has no text or no voice.
    np.testing.assert_array_equal(found, [1.0, np.nan, np.nan, 5.0, 5.0, 5.0])
