"""A small voice: syllables and prosody to tracks of pitch, formants and gains, and to sound.

Numbers without a source in the comments are ours, set by eye on spectrograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.corpora.source_filter import (
    HOP,
    SAMPLE_RATE,
    formant_filter,
    glottal_source,
    noise_filter,
    per_sample,
)
from pipeline.errors import ParamsError

# Means of F1, F2, F3 in Hz of men and women, Peterson & Barney 1952, for the vowels of heed,
# head, hod, hawed and who'd.
VOWELS = {
    "male": {
        "i": (270, 2290, 3010),
        "e": (530, 1840, 2480),
        "a": (730, 1090, 2440),
        "o": (570, 840, 2410),
        "u": (300, 870, 2240),
    },
    "female": {
        "i": (310, 2790, 3310),
        "e": (610, 2330, 2990),
        "a": (850, 1220, 2810),
        "o": (590, 920, 2710),
        "u": (370, 950, 2670),
    },
}
# What the table does not give is scaled from men to women by the mean ratio of its entries.
_SCALE = {"male": 1.0, "female": 1.15}
_UPPER_FORMANTS = (3500, 4500, 5500)  # Hz: the odd quarter waves of a tract of 17.5 cm
_BANDWIDTHS = (60, 80, 120, 200, 250, 300)  # Hz: of the order of Klatt 1980

_VOWEL_S = 0.15
_EDGE_S = 0.06  # silence before and after
_PHRASE_END_STRETCH = 1.4  # the last vowel of a phrase is longer
_ACCENT_DB = 2.0  # an accented syllable is louder too
_FORMANT_SMOOTHING = 3.6  # points: how fast the tongue moves; short vowels undershoot
_GAIN_SMOOTHING = 1.4  # points
_PITCH_SMOOTHING = 8.0  # points
_LEVEL_DB = -26.0  # of full scale, for an utterance of 0 dB


class Consonant(NamedTuple):
    """How a consonant is held, and how it is let go where it is a stop."""

    duration_s: float
    locus: tuple[int, int, int]  # Hz: where F1, F2, F3 come from, for a man
    voicing: float  # gain of the glottal source; a vowel has 1
    noise: float  # gain of the noise; in a stop that of its burst
    centre_hz: int  # of the noise
    width_hz: int  # of the noise
    is_stop: bool = False


# F2 starts low after lips and high after the tongue's tip: Delattre, Liberman & Cooper 1955.
CONSONANTS = {
    "b": Consonant(0.06, (300, 800, 2200), 0.12, 0.25, 1000, 1500, is_stop=True),
    "d": Consonant(0.05, (300, 1800, 2600), 0.12, 0.30, 4200, 2000, is_stop=True),
    "g": Consonant(0.06, (300, 2100, 2350), 0.12, 0.30, 2200, 900, is_stop=True),
    "p": Consonant(0.08, (300, 800, 2200), 0.0, 0.35, 1000, 1500, is_stop=True),
    "t": Consonant(0.07, (300, 1800, 2600), 0.0, 0.45, 4200, 2000, is_stop=True),
    "k": Consonant(0.08, (300, 2100, 2350), 0.0, 0.45, 2200, 900, is_stop=True),
    "m": Consonant(0.07, (260, 1000, 2200), 0.35, 0.0, 3000, 2000),
    "n": Consonant(0.06, (260, 1500, 2500), 0.35, 0.0, 3000, 2000),
    "l": Consonant(0.06, (360, 1200, 2700), 0.5, 0.0, 3000, 2000),
    "s": Consonant(0.10, (300, 1700, 2600), 0.0, 0.45, 6000, 1800),
    "sh": Consonant(0.10, (300, 1900, 2500), 0.0, 0.50, 3300, 1500),
    "f": Consonant(0.09, (300, 1000, 2300), 0.0, 0.20, 5000, 5000),
    "z": Consonant(0.08, (300, 1700, 2600), 0.25, 0.20, 6000, 1800),
}
_BURST_S = 0.015


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What stays the same in everything a speaker says."""

    gender: str = "female"  # a key of VOWELS
    f0_hz: float = 200.0  # mean pitch of neutral speech
    tract_scale: float = 1.0  # all formants times this; 1 is the mean of the gender


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """How one utterance is said; every number is a setting, none a difference to another."""

    f0_shift_st: float = 0.0  # semitones above the voice's mean pitch
    f0_range_st: float = 1.8  # semitones an accent of 1 lifts the pitch
    f0_slope_st: float = -3.0  # semitones from the first point to the last
    f0_final_st: float = -1.0  # semitones reached on top in the last fifth
    rate: float = 1.0  # all segments are this many times shorter
    energy_db: float = 0.0  # mean power, relative to `_LEVEL_DB`
    tilt_db: float = 7.0  # attenuation of the source at 3 kHz (Klatt & Klatt 1990: TL)
    open_quotient: float = 0.6  # open part of a glottal cycle, 0 to 1
    jitter: float = 0.006  # deviation of a cycle's length, as a fraction
    shimmer: float = 0.04  # deviation of a cycle's amplitude, as a fraction
    breath: float = 0.05  # aspiration noise, relative to the pulses
    f1_scale: float = 1.0  # the first formant of vowels times this: how wide the mouth opens
    pause_s: float = 0.12  # silence after a phrase


class Syllable(NamedTuple):
    """One step of an utterance's plan: an onset (may be empty) and a vowel."""

    onset: str  # a key of CONSONANTS, or ""
    vowel: str  # a key of VOWELS[gender]
    accent: float = 0.0  # lifts pitch and loudness, about -1 to 1
    ends_phrase: bool = False


class _Segment(NamedTuple):
    """A stretch with constant targets, before anything is smoothed."""

    duration_s: float
    formants: tuple[float, ...]
    voicing: float = 0.0
    noise: float = 0.0
    centre_hz: float = 3000.0
    width_hz: float = 2000.0
    accent: float = 0.0


def synthesise(
    *,
    voice: Voice,
    prosody: Prosody,
    plan: Sequence[Syllable],
    generator: np.random.Generator,
) -> np.ndarray:
    """Say a plan with a voice and a prosody.

    Args:
        voice: Who speaks.
        prosody: How it is said.
        plan: What is said, at least one syllable.
        generator: Draws the noise, the jitter and the shimmer.

    Returns:
        The waveform, shape (N,), float64, of mean power `prosody.energy_db` over a fixed level.

    Raises:
        ParamsError: If the plan is empty.
    """
    if not plan:
        raise ParamsError("plan: found no syllable, wanted at least one; say what to speak.")
    steps = _targets(plan, voice=voice, prosody=prosody)
    formants = _smooth(steps[:, :6], _FORMANT_SMOOTHING)
    voicing, noise_gain = _smooth(steps[:, 6:8], _GAIN_SMOOTHING).T
    accent = _smooth(steps[:, 10], _PITCH_SMOOTHING)
    source = glottal_source(
        per_sample(_pitch(voice=voice, prosody=prosody, accent=accent)),
        open_quotient=prosody.open_quotient,
        jitter=prosody.jitter,
        shimmer=prosody.shimmer,
        breath=prosody.breath,
        generator=generator,
    )
    source *= per_sample(voicing * 10 ** (_ACCENT_DB * accent / 20))
    bandwidths = np.broadcast_to(np.array(_BANDWIDTHS) * _SCALE[voice.gender], formants.shape)
    speech = formant_filter(source, formants, bandwidths, tilt_db=prosody.tilt_db)
    noise = generator.standard_normal(len(source)) * per_sample(noise_gain)
    speech += noise_filter(noise, centre_hz=steps[:, 8], width_hz=steps[:, 9])
    level = 10 ** ((_LEVEL_DB + prosody.energy_db) / 20)
    return np.asarray(speech * level / np.sqrt(np.mean(speech**2)))


def _targets(plan: Sequence[Syllable], *, voice: Voice, prosody: Prosody) -> np.ndarray:
    """Lay the segments' targets out in time, shape (P, 11): six formants, then as `_Segment`."""
    segments = _segments(plan, voice=voice, prosody=prosody)
    counts = [max(1, round(s.duration_s * SAMPLE_RATE / HOP)) for s in segments]
    counts[-1] += 1  # the point at the very end
    return np.repeat([(*s.formants, *s[2:]) for s in segments], counts, axis=0)


def _segments(plan: Sequence[Syllable], *, voice: Voice, prosody: Prosody) -> list[_Segment]:
    scale = _SCALE[voice.gender] * voice.tract_scale
    upper = tuple(scale * f for f in _UPPER_FORMANTS)
    silence = _Segment(_EDGE_S, (scale * 500, scale * 1500, scale * 2500, *upper))
    segments = [silence]
    for syllable in plan:
        if syllable.onset:
            segments += _onset(syllable, scale=scale, upper=upper, rate=prosody.rate)
        f1, f2, f3 = (voice.tract_scale * f for f in VOWELS[voice.gender][syllable.vowel])
        stretch = _PHRASE_END_STRETCH if syllable.ends_phrase else 1.0
        segments.append(
            _Segment(
                _VOWEL_S * stretch / prosody.rate,
                (prosody.f1_scale * f1, f2, f3, *upper),
                voicing=1.0,
                accent=syllable.accent,
            )
        )
        if syllable.ends_phrase:
            segments.append(silence._replace(duration_s=prosody.pause_s))
    return [*segments, silence]


def _onset(
    syllable: Syllable, *, scale: float, upper: tuple[float, ...], rate: float
) -> list[_Segment]:
    consonant = CONSONANTS[syllable.onset]
    hold = _Segment(
        consonant.duration_s / rate,
        (*(scale * f for f in consonant.locus), *upper),
        voicing=consonant.voicing,
        noise=consonant.noise,
        centre_hz=consonant.centre_hz,
        width_hz=consonant.width_hz,
        accent=syllable.accent,
    )
    if not consonant.is_stop:
        return [hold]
    return [hold._replace(noise=0.0), hold._replace(duration_s=_BURST_S)]


def _pitch(*, voice: Voice, prosody: Prosody, accent: np.ndarray) -> np.ndarray:
    """Add up level, slope, accents and final movement, in semitones; give Hz, shape (P,)."""
    u = np.linspace(0, 1, len(accent))
    semitones = (
        prosody.f0_shift_st
        + prosody.f0_range_st * accent
        + prosody.f0_slope_st * (u - 0.5)
        + prosody.f0_final_st * np.clip((u - 0.8) / 0.2, 0, 1)
    )
    return np.asarray(voice.f0_hz * 2 ** (semitones / 12))


def _smooth(track: np.ndarray, points: float) -> np.ndarray:
    return np.asarray(gaussian_filter1d(track, points, axis=0, mode="nearest"))
