"""Where stretches begin and end."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ParamsError
from pipeline.segmentation.config import SegmentsConfig
from pipeline.segmentation.cutting import Span, SpeechFrames, windows

FRAME_S = 0.032
NEVER = 1e6  # seconds

probabilities = st.lists(st.sampled_from([0.0, 0.1, 0.4, 0.5, 0.9]), max_size=80)
few = st.integers(1, 6)


def cut(frames: SpeechFrames, probabilities: list[float]) -> list[tuple[int, int]]:
    return frames.hear(probabilities) + frames.finish()


def config(silence: int, shortest: int, pad: int = 0, longest: float = NEVER) -> SegmentsConfig:
    return SegmentsConfig(
        min_silence_s=silence * FRAME_S,
        min_speech_s=shortest * FRAME_S,
        pad_s=pad * FRAME_S,
        max_speech_s=longest * FRAME_S,
    )


def naive(p: list[float], silence: int, shortest: int, pad: int) -> list[tuple[int, int]]:
    """The rule as the module's docstring says it, on all frames at once."""
    found, i = [], 0
    while i < len(p):
        if p[i] < 0.5:
            i += 1
            continue
        end = len(p)
        for e in range(i + 1, len(p)):
            after = p[e : e + silence]
            is_whole = len(after) == silence or e + len(after) == len(p)
            if p[e] < 0.35 and is_whole and max(after) < 0.5:
                end = e
                break
        if end - i >= shortest:
            found.append((max(i - pad, 0), min(end + pad, len(p))))
        i = end
    return found


@given(probabilities, few, few, st.integers(0, 3))
def test_speech_is_what_the_rule_says(p, silence, shortest, pad):
    pad = min(pad, silence // 2)
    found = cut(SpeechFrames(config(silence, shortest, pad), FRAME_S), p)
    assert found == naive(p, silence, shortest, pad)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))


@given(st.lists(st.booleans(), max_size=80), few, few)
def test_without_doubtful_frames_it_is_silero_s_own_rule(is_speech, silence, shortest):
    library = pytest.importorskip("silero_vad.utils_vad")
    p = [0.9 if one else 0.1 for one in is_speech] + [0.1] * 10
    # Theirs ends a frame later, and wants more than the shortest.
    theirs = library.get_speech_timestamps_from_probs(
        p,
        min_silence_duration_ms=32 * (silence - 1),
        min_speech_duration_ms=32 * shortest - 1,
        speech_pad_ms=0,
    )
    found = cut(SpeechFrames(config(silence, shortest), FRAME_S), p)
    assert found == [(one["start"] // 512, one["end"] // 512) for one in theirs]


@given(probabilities, st.integers(0, 80), st.integers(6, 20))
def test_blocks_change_nothing_and_nothing_is_needed_from_before(p, place, longest):
    made = SpeechFrames(config(2, 2, 1, longest), FRAME_S)
    found = made.hear(p[:place])
    needed = made.needed_from
    later = made.hear(p[place:]) + made.finish()
    assert found + later == cut(SpeechFrames(config(2, 2, 1, longest), FRAME_S), p)
    assert all(start >= needed for start, _ in later)
    assert all(end - start <= longest for start, end in found + later)


def test_long_speech_is_cut_before_its_least_likely_frame():
    p = [0.9] * 6 + [0.6] + [0.9] * 9
    found = cut(SpeechFrames(config(2, 2, 0, 10), FRAME_S), p)
    assert found == [(0, 6), (6, 11), (11, 16)]


@given(st.floats(0.1, 100), st.floats(0.1, 10), st.floats(0.1, 1))
def test_windows_cover_a_recording(duration, length, share):
    hop = max(length * share, 0.05)
    found = windows(duration, length, hop)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(duration, abs=1e-6)
    starts = np.array([span.start for span in found])
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) < hop + 0.01 * hop + 1e-5).all()
    if duration > length:
        lengths = [span.end - span.start for span in found]
        np.testing.assert_allclose(lengths, length, atol=0.011 * hop + 1e-5)


def test_windows_lie_where_their_hops_are():
    assert windows(10.0, 4.0, 2.0) == [Span(0, 4), Span(2, 6), Span(4, 8), Span(6, 10)]
    assert windows(9.0, 4.0, 2.0) == [Span(0, 4), Span(2, 6), Span(4, 8), Span(5, 9)]
    assert windows(3.0, 4.0, 2.0) == [Span(0, 3)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window_s": 0.0}, "segments.window_s: found 0.0, wanted more than 0"),
        ({"hop_s": 5.0}, "segments.hop_s: found 5.0, wanted at most window_s (4.0)"),
        ({"pad_s": 0.2}, "segments.pad_s: found 0.2, wanted at most half of min_silence_s (0.32)"),
        ({"exit_threshold": 0.6}, "found 0.6 and a threshold of 0.5, wanted it no higher"),
        ({"max_speech_s": 0.5}, "wanted at least twice min_speech_s and pad_s together"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ParamsError, match=re.escape(message)):
        SegmentsConfig(**given)
