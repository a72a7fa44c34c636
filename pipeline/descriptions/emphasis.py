"""The word of a clip that stands out, where it is known when each word is said."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.descriptions.prosody import HOP_S, Track
from pipeline.manifests.faults import Problems
from pipeline.manifests.manifest import Manifest

TEXT, WORD_TIMES = "text", "word_times"
LEAST = 1.5  # z of its pitch and z of its loudness together
LEAST_WORDS = 3  # with a voice: of fewer none stands out
TIME = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")

Word = tuple[float, float]


def read_times(text: str) -> list[Word] | None:
    """Read `start-end start-end ...`, seconds from the clip's beginning; None if it is no such.

    >>> read_times("0.31-0.52 0.6-1")
    [(0.31, 0.52), (0.6, 1.0)]
    """
    words = [TIME.fullmatch(part) for part in text.split()]
    if not all(words):
        return None
    times = [(float(word[1]), float(word[2])) for word in words if word]
    return times if all(start < end for start, end in times) else None


def emphasised(clip: Track, words: Sequence[Word]) -> int | None:
    """Return which word has the largest z(F0) + z(loudness), None where none is above 1.5.

    z is over the words of the clip that have a voice.

    Args:
        clip: The clip, frame by frame.
        words: Beginning and end of each, in seconds.
    """
    voiced, semitones = clip.voiced, clip.semitones
    places, told = [], []
    for place, (start, end) in enumerate(words):
        frames = slice(round(start / HOP_S), max(round(end / HOP_S), round(start / HOP_S) + 1))
        if voiced[frames].any():
            places.append(place)
            pitch = semitones[frames][voiced[frames]].mean()
            told.append((pitch, clip.loudness[frames].mean()))
    if len(told) < LEAST_WORDS:
        return None
    values = np.array(told)  # (W, 2)
    spread = values.std(axis=0)
    z = np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0)
    scores = z.sum(axis=1)
    return places[int(scores.argmax())] if scores.max() > LEAST else None


def word_times(manifest: Manifest) -> list[list[Word]]:
    """Return when the words of each row are said, nothing where the manifest does not tell.

    Raises:
        ManifestError: If times cannot be read, or are not as many as the words of the text.
    """
    table = manifest.table
    if WORD_TIMES not in table.columns:
        return [[] for _ in range(len(table))]
    column = table[WORD_TIMES].tolist()
    times = [read_times(text) for text in column]
    num_words = [len(text.split()) for text in table[TEXT]] if TEXT in table else [0] * len(table)
    problems = Problems(manifest.path, manifest.first_row)
    problems.add(
        pd.Series([one is None for one in times]),
        lambda i: f"word_times {column[i]!r} are not start-end start-end ... in seconds",
    )
    wrong = [
        one not in (None, []) and len(one or []) != num_words[i] for i, one in enumerate(times)
    ]
    problems.add(
        pd.Series(wrong, dtype=bool),
        lambda i: f"word_times {column[i]!r} are not of the {num_words[i]} words of the text",
    )
    problems.raise_if_any("mend or empty them")
    return [one or [] for one in times]
