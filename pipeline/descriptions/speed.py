"""How fast somebody speaks: syllables of the text over the seconds that have a voice."""

import re
import unicodedata

import pandas as pd

from pipeline.descriptions.acoustics import PEAKS_PER_S, VOICED_S

MOST = 0.5  # of a corpus's clips have texts: then speed is told by texts


def vowel_groups(text: str, vowels: str) -> int:
    """Return how many groups of vowels a text has, which is about its syllables.

    Args:
        text: What is said.
        vowels: The letters that are vowels, without accents.
    """
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text.casefold())
        if not unicodedata.combining(letter)
    )
    return len(re.findall(f"[{re.escape(vowels)}]+", plain))


def speeds(acoustics: pd.DataFrame, texts: pd.Series, corpora: pd.Series, vowels: str) -> pd.Series:
    """Return the number of the slot `speed` of each clip, NaN where it has none.

    Vowel groups per voiced second in a corpus of which most clips have a text with a vowel; else
    peaks of loudness per second. The two are never mixed within a corpus.

    Args:
        acoustics: Columns voiced_s and peaks_per_s.
        texts: Of the same clips, "" where there is none.
        corpora: Of the same clips.
        vowels: As `vowel_groups`.
    """
    groups = texts.map(lambda text: vowel_groups(text, vowels)).astype("float64")
    groups = groups.where(groups > 0)
    by_text = groups.notna().groupby(corpora).transform("mean") > MOST
    return (groups / acoustics[VOICED_S]).where(by_text, acoustics[PEAKS_PER_S])
