"""The word that stands out, and when words are said."""

from pathlib import Path

import numpy as np
import pytest

from helpers.describing import voice
from helpers.manifests import csv
from pipeline.descriptions.emphasis import emphasised, read_times, word_times
from pipeline.descriptions.prosody import SAMPLE_RATE, track
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import read_manifest

WORDS = [(0.0, 0.4), (0.4, 0.8), (0.8, 1.2), (1.2, 1.6)]


def clip(hertz: list[float], levels: list[float]) -> np.ndarray:
    num = round(0.4 * SAMPLE_RATE)
    loudness = np.repeat(levels, num).astype(np.float32)
    return loudness * voice(np.repeat(hertz, num), 1.6, 1.0)


@pytest.mark.parametrize("place", range(4))
def test_the_higher_and_louder_word_stands_out(place: int) -> None:
    hertz, levels = [150.0] * 4, [0.1] * 4
    hertz[place], levels[place] = 220.0, 0.3
    assert emphasised(track(clip(hertz, levels)), WORDS) == place


def test_of_words_alike_or_words_too_few_none_stands_out() -> None:
    told = track(clip([150, 220, 150, 150], [0.1, 0.3, 0.1, 0.1]))
    assert emphasised(told, WORDS[:2]) is None
    assert emphasised(told, []) is None
    # Pitch and loudness speak against each other.
    assert emphasised(track(clip([220, 150, 220, 150], [0.1, 0.3, 0.1, 0.3])), WORDS) is None


def test_times_are_seconds_in_pairs() -> None:
    assert read_times("0-0.5  0.5-1.25") == [(0.0, 0.5), (0.5, 1.25)]
    assert read_times("") == []
    for wrong in ("0", "0-1 x", "1-0.5", "-1-2", "0,1-0,2"):
        assert read_times(wrong) is None, wrong


def test_times_that_cannot_be_of_the_words_are_refused_by_row(tmp_path: Path) -> None:
    head = "utterance_id,path,text,word_times\n"
    path = csv(tmp_path, f"{head}a,a.wav,one two,0-1 1-2\nb,b.wav,one,0-1 1-2\nc,c.wav,one,soon\n")
    with pytest.raises(ManifestError) as caught:
        word_times(read_manifest(path))
    assert ":3: word_times '0-1 1-2' are not of the 1 words of the text" in str(caught.value)
    assert ":4: word_times 'soon' are not start-end" in str(caught.value)
    good = csv(tmp_path, f"{head}a,a.wav,one two,0-1 1-2\nb,b.wav,one,\n")
    assert word_times(read_manifest(good)) == [[(0.0, 1.0), (1.0, 2.0)], []]
    assert word_times(read_manifest(csv(tmp_path, "utterance_id,path\na,a.wav\n"))) == [[]]
