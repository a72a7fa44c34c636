import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_toeplitz
from scipy.signal import find_peaks

from helpers.sound import autocorrelation_f0, high_share
from pipeline.corpora.demo import EMOTIONS
from pipeline.corpora.source_filter import HOP, SAMPLE_RATE, formant_filter, glottal_source
from pipeline.corpora.voices import CONSONANTS, VOWELS, Prosody, Syllable, Voice, synthesise
from pipeline.errors import ParamsError

STEADY = Prosody(
    f0_slope_st=0.0, f0_final_st=0.0, rate=0.2, tilt_db=0.0, jitter=0.0, shimmer=0.0, breath=0.0
)


def linear_prediction_peaks(sound: np.ndarray, *, order: int = 18) -> np.ndarray:
    """Find the peaks in Hz of an all-pole fit (the autocorrelation method)."""
    sound = np.diff(sound) * np.hanning(len(sound) - 1)
    r = np.correlate(sound, sound, "full")[len(sound) - 1 :][: order + 1]
    predictor = np.concatenate([[1.0], -solve_toeplitz(r[:-1], r[1:])])
    envelope = 1 / np.abs(np.fft.rfft(predictor, 4096))
    return find_peaks(envelope)[0] * SAMPLE_RATE / 4096


def middle(sound: np.ndarray) -> np.ndarray:
    return sound[len(sound) // 4 : len(sound) // 2]


def steady_vowel(vowel: str, *, gender: str, f0_hz: float) -> np.ndarray:
    return middle(
        synthesise(
            voice=Voice(gender=gender, f0_hz=f0_hz),
            prosody=STEADY,
            plan=[Syllable("", vowel)],
            generator=np.random.default_rng(0),
        )
    )


@pytest.mark.parametrize(("gender", "f0_hz"), [("male", 90.0), ("male", 131.0), ("female", 233.0)])
def test_a_steady_vowel_has_the_pitch_it_was_asked_for(gender: str, f0_hz: float) -> None:
    sound = steady_vowel("a", gender=gender, f0_hz=f0_hz)
    assert autocorrelation_f0(sound) == pytest.approx(f0_hz, rel=0.02)


@pytest.mark.parametrize("vowel", ["i", "e", "a"])
def test_a_steady_vowel_has_the_formants_it_was_asked_for(vowel: str) -> None:
    peaks = linear_prediction_peaks(steady_vowel(vowel, gender="male", f0_hz=80.0))
    for formant in VOWELS["male"][vowel]:
        # A fit to harmonics is drawn to the nearest one: half of F0, or a tenth, away.
        assert np.min(np.abs(peaks - formant)) < max(40.0, 0.1 * formant), (formant, peaks)


def test_an_impulse_rings_at_the_formants() -> None:
    formants = np.array([500.0, 1500.0, 2500.0])
    source = np.zeros(20 * HOP)
    source[5 * HOP + 17] = 1.0
    tracks = np.broadcast_to(formants, (21, 3))
    response = formant_filter(source, tracks, np.full((21, 3), 80.0), tilt_db=0.0)
    spectrum = np.abs(np.fft.rfft(response, 16_000))
    np.testing.assert_allclose(find_peaks(spectrum, prominence=0.5)[0], formants, atol=10)
    assert not np.any(np.abs(response[: 4 * HOP]) > 1e-3 * np.max(np.abs(response)))


@pytest.mark.parametrize("tilt_db", [0.0, 6.0, 20.0])
def test_the_tilt_is_the_attenuation_at_3_khz(tilt_db: float) -> None:
    source = np.zeros(20 * HOP)
    source[5 * HOP] = 1.0
    none = np.empty((21, 0))
    spectrum = np.abs(np.fft.rfft(formant_filter(source, none, none, tilt_db=tilt_db), 16_000))
    assert 20 * np.log10(spectrum[0] / spectrum[3000]) == pytest.approx(tilt_db, abs=0.05)


def test_jitter_and_shimmer_disturb_cycles_and_breath_adds_noise() -> None:
    def pulses(**disturbance: float) -> np.ndarray:
        quiet = {"jitter": 0.0, "shimmer": 0.0, "breath": 0.0}
        return glottal_source(
            np.full(16_000, 100.0),
            open_quotient=0.6,
            generator=np.random.default_rng(0),
            **(quiet | disturbance),
        )

    def difference_of_cycles(source: np.ndarray) -> float:
        return float(np.mean((source[160:] - source[:-160]) ** 2))

    assert np.mean(pulses() ** 2) == pytest.approx(1.0, rel=0.1)
    assert difference_of_cycles(pulses()) < 1e-6
    assert difference_of_cycles(pulses(jitter=0.01)) > 1e-3
    assert difference_of_cycles(pulses(shimmer=0.05)) > 1e-3
    assert difference_of_cycles(pulses(breath=0.05)) > 1e-3


def test_a_hiss_is_higher_than_a_hum() -> None:
    def onset(consonant: str) -> np.ndarray:
        sound = synthesise(
            voice=Voice(),
            prosody=Prosody(),
            plan=[Syllable(consonant, "a")],
            generator=np.random.default_rng(0),
        )
        return sound[1100:2000]

    assert high_share(onset("s")) > 0.8
    assert high_share(onset("m")) < 0.2


def test_formants_rise_with_a_shorter_tract_and_the_pause_lengthens_the_clip() -> None:
    def say(voice: Voice, prosody: Prosody) -> np.ndarray:
        plan = [Syllable("m", "a", ends_phrase=True), Syllable("l", "e", ends_phrase=True)]
        return synthesise(
            voice=voice, prosody=prosody, plan=plan, generator=np.random.default_rng(0)
        )

    plain = say(Voice(), Prosody())
    longer = say(Voice(), Prosody(pause_s=0.22))
    assert len(longer) - len(plain) == round(2 * 0.10 * SAMPLE_RATE)
    short_tract = say(Voice(tract_scale=1.2), Prosody())
    assert high_share(short_tract) > high_share(plain)


syllables = st.builds(
    Syllable,
    onset=st.sampled_from(["", *CONSONANTS]),
    vowel=st.sampled_from(list(VOWELS["male"])),
    accent=st.floats(-1, 1),
    ends_phrase=st.booleans(),
)


@settings(max_examples=12, deadline=None)
@given(
    plan=st.lists(syllables, min_size=1, max_size=4),
    gender=st.sampled_from(list(VOWELS)),
    emotion=st.sampled_from(list(EMOTIONS)),
)
def test_whatever_is_said_is_finite_and_as_loud_as_asked(
    plan: list[Syllable], gender: str, emotion: str
) -> None:
    def power_db(energy_db: float) -> float:
        sound = synthesise(
            voice=Voice(gender=gender, f0_hz=150.0),
            prosody=Prosody(energy_db=energy_db, tilt_db=EMOTIONS[emotion].tilt_db),
            plan=plan,
            generator=np.random.default_rng(0),
        )
        assert np.isfinite(sound).all()
        return float(10 * np.log10(np.mean(sound**2)))

    assert power_db(6.0) - power_db(0.0) == pytest.approx(6.0)


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(ParamsError, match="found no syllable, wanted at least one"):
        synthesise(voice=Voice(), prosody=Prosody(), plan=[], generator=np.random.default_rng(0))
