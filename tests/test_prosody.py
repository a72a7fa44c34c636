"""The built-in prosody, against sounds whose numbers are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.describing import voice
from helpers.sound import autocorrelation_f0
from pipeline.corpora.demo import synthesise_clip
from pipeline.descriptions.prosody import (
    HOP_S,
    MIN_SAMPLES,
    NUMBERS,
    SAMPLE_RATE,
    f0,
    prosody,
    track,
)


def silence(seconds: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    return (1e-5 * noise).astype(np.float32)


def measured(*parts: np.ndarray) -> dict[str, float]:
    return prosody(track(np.concatenate(parts)))


def semitones(hertz: float) -> float:
    return float(12 * np.log2(hertz / 27.5))


@given(st.floats(62, 490))
@settings(max_examples=30)
def test_the_pitch_of_a_voice_is_its_own_and_no_multiple_of_it(hertz: float) -> None:
    found, strength = f0(voice(hertz, 0.3))
    np.testing.assert_allclose(found, hertz, rtol=0.01)
    assert (strength > 0.9).all()
    assert measured(voice(hertz, 0.3))["pitch"] == pytest.approx(semitones(hertz), abs=0.1)


def test_it_agrees_with_plain_autocorrelation_on_synthetic_speech() -> None:
    for speaker in (0, 1):
        sound, _ = synthesise_clip(seed=0, speaker=speaker, emotion="neutral", clip=0)
        clip = track((sound / 32768).astype(np.float32))
        places = np.flatnonzero(clip.voiced & (clip.strength > 0.95))[5::20]
        assert len(places) > 3
        for place in places:
            start = round(place * HOP_S * SAMPLE_RATE)
            other = autocorrelation_f0(sound[start : start + MIN_SAMPLES].astype(float))
            assert clip.hertz[place] == pytest.approx(other, rel=0.05)


def test_what_is_louder_is_louder_and_nothing_else() -> None:
    sound = voice(150 + 40 * np.sin(np.arange(32000) / 3000), 2.0)
    quiet, loud = measured(sound), measured(4 * sound)
    assert loud["energy"] == pytest.approx(4**0.6 * quiet["energy"], rel=1e-4)
    assert loud["dynamics"] == pytest.approx(4**0.6 * quiet["dynamics"], rel=1e-3)
    for name in set(NUMBERS) - {"energy", "dynamics"}:
        assert loud[name] == pytest.approx(quiet[name], rel=1e-3), name


@pytest.mark.parametrize("slope", [-8.0, -3.0, 0.0, 6.0])
def test_a_glide_has_its_slope_and_its_range(slope: float) -> None:
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    found = measured(voice(200 * 2 ** (slope * seconds / 12), 2.0))
    assert found["slope"] == pytest.approx(slope, abs=0.1)
    # From the 20th to the 80th percentile of two seconds.
    assert found["variation"] == pytest.approx(abs(slope) * 2 * 0.6, abs=0.3)


def test_pauses_are_silent_stretches_between_sounds_and_not_those_around_them() -> None:
    said = voice(150, 0.6)
    whole = measured(silence(0.5), said, said, silence(0.8))
    assert whole["pauses"] == 0
    parted = measured(silence(0.5), said, silence(0.4), said, silence(0.8))
    assert parted["pauses"] == pytest.approx(0.4 / 1.6, abs=0.03)
    short = measured(said, silence(0.08), said)
    assert short["pauses"] == 0
    assert parted["voiced_s"] == pytest.approx(1.2, abs=0.1)
    assert parted["pitch"] == pytest.approx(whole["pitch"], abs=0.05)


def test_peaks_are_those_of_loudness() -> None:
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sound = voice(150, 2.0) * (1 - 0.9 * np.cos(2 * np.pi * 4 * seconds)).astype(np.float32)
    assert measured(sound)["peaks_per_s"] == pytest.approx(4, abs=0.6)


def test_noise_has_no_pitch_and_breath_makes_a_tone_less_clear() -> None:
    noise = np.random.default_rng(1).standard_normal(SAMPLE_RATE).astype(np.float32)
    assert set(measured(0.1 * noise)) == {"energy", "dynamics", "pauses", "peaks_per_s"}
    clear, breathy = measured(voice(150)), measured(voice(150) + 0.02 * noise)
    assert clear["tone"] > breathy["tone"] + 3


def test_a_clip_of_one_frame_is_measured() -> None:
    found = measured(voice(200, 1.0)[:MIN_SAMPLES])
    assert set(found) == set(NUMBERS) - {"slope"}
    assert np.isfinite(list(found.values())).all()


def test_a_click_in_digital_silence_gives_finite_numbers() -> None:
    sound = np.zeros(SAMPLE_RATE, np.float32)
    sound[8000] = 0.5
    assert np.isfinite(list(measured(sound).values())).all()
    sound[8000] = 0
    sound[-1] = 0.5  # beyond the last frame
    assert np.isfinite(list(measured(sound).values())).all()
