"""A small source-filter voice: glottal pulses and noise through formant resonators (Fant 1960).

Sound has `SAMPLE_RATE` samples a second. Whatever moves slowly (formants, gains, pitch) is a
track: one value at each of P points, `HOP` samples apart, so that P points span (P - 1) HOP
samples. Numbers without a source in the comments are ours, set by eye on spectrograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.errors import ParamsError

SAMPLE_RATE = 16_000
HOP = 80
# Long enough for a resonance of 60 Hz bandwidth to decay by 60 dB after a block of 2 HOP.
_FFT_SIZE = 800

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
    tilt_db: float = 5.0  # attenuation of the source at 3 kHz (Klatt & Klatt 1990: TL)
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
        _per_sample(_pitch(voice=voice, prosody=prosody, accent=accent)),
        open_quotient=prosody.open_quotient,
        jitter=prosody.jitter,
        shimmer=prosody.shimmer,
        breath=prosody.breath,
        generator=generator,
    )
    source *= _per_sample(voicing * 10 ** (_ACCENT_DB * accent / 20))
    bandwidths = np.broadcast_to(np.array(_BANDWIDTHS) * _SCALE[voice.gender], formants.shape)
    speech = formant_filter(source, formants, bandwidths, tilt_db=prosody.tilt_db)
    noise = generator.standard_normal(len(source)) * _per_sample(noise_gain)
    speech += _noise_filter(noise, centre_hz=steps[:, 8], width_hz=steps[:, 9])
    level = 10 ** ((_LEVEL_DB + prosody.energy_db) / 20)
    return np.asarray(speech * level / np.sqrt(np.mean(speech**2)))


def glottal_source(
    f0_hz: np.ndarray,
    *,
    open_quotient: float,
    jitter: float,
    shimmer: float,
    breath: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Make the derivative of the glottal flow, with the noise of the breath.

    Rosenberg 1971, the trigonometric pulse with one slope discontinuity, phi in cycles:
        g = (1 - cos(pi phi / tp)) / 2           0 <= phi < tp
        g = cos(pi (phi - tp) / (2 tn))          tp <= phi < tp + tn
        g = 0                                    for the rest of the cycle
    The derivative stands for the radiation from the lips. The opening takes two thirds of the
    open phase; noise flows with the glottis' opening.

    Args:
        f0_hz: Pitch, shape (N,).
        open_quotient: tp + tn, in (0, 1).
        jitter: Standard deviation of a cycle's frequency, as a fraction.
        shimmer: Standard deviation of a cycle's amplitude, as a fraction.
        breath: Gain of the noise.
        generator: Draws noise, jitter and shimmer.

    Returns:
        The source, shape (N,), of power about 1 (without breath).
    """
    tp, tn = open_quotient * 2 / 3, open_quotient / 3
    cycle = (np.cumsum(f0_hz) / SAMPLE_RATE).astype(int)
    f0_hz = f0_hz * (1 + jitter * generator.standard_normal(cycle[-1] + 1))[cycle]
    phase = np.cumsum(f0_hz) / SAMPLE_RATE
    cycle = phase.astype(int)
    phi = phase - cycle
    opening = (1 - np.cos(np.pi * phi / tp)) / 2
    closing = np.cos(np.pi * (phi - tp) / (2 * tn))
    flow = np.where(phi < tp, opening, np.where(phi < tp + tn, closing, 0.0))
    derivative = np.diff(flow, prepend=0.0) * SAMPLE_RATE / f0_hz
    power = np.pi**2 / 8 * (1 / tp + 1 / tn)  # the mean of the squared derivative over a cycle
    amplitude = (1 + shimmer * generator.standard_normal(cycle[-1] + 1))[cycle]
    noise = generator.standard_normal(len(flow)) * (0.3 + flow)
    return np.asarray(amplitude * derivative / np.sqrt(power) + breath * noise)


def formant_filter(
    source: np.ndarray, formants: np.ndarray, bandwidths: np.ndarray, *, tilt_db: float
) -> np.ndarray:
    """Send a source through resonators in cascade that move.

    Klatt 1980, Eq. 1 and 2, K resonators with unity gain at 0 Hz, and a one-pole low-pass for
    the tilt (Klatt & Klatt 1990).

    Args:
        source: Shape (N,), N = (P - 1) HOP.
        formants: Resonance frequencies in Hz, shape (P, K).
        bandwidths: In Hz, shape (P, K).
        tilt_db: Attenuation at 3 kHz, >= 0.

    Returns:
        Shape (N,).
    """
    poles = np.ones((len(formants), 1))
    for k in range(formants.shape[1]):
        poles = _times(poles, _resonator(formants[:, k], bandwidths[:, k]))
    poles = _times(poles, np.broadcast_to([1.0, -_tilt_pole(tilt_db)], (len(poles), 2)))
    response = poles.sum(axis=1, keepdims=True) / np.fft.rfft(poles, _FFT_SIZE)
    return _filter_by_points(source, response)


def _noise_filter(source: np.ndarray, *, centre_hz: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
    """Colour white noise by one moving resonator that keeps its power."""
    response = 1 / np.fft.rfft(_resonator(centre_hz, width_hz), _FFT_SIZE)
    power = np.mean(np.abs(response) ** 2, axis=1, keepdims=True)
    return _filter_by_points(source, response / np.sqrt(power))


def _filter_by_points(source: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Filter each overlapping stretch of 2 HOP samples by its own point's response; add up.

    Nothing clicks, because a resonance started in one stretch rings on unchanged, and all points
    are filtered at once.
    """
    num_points = len(response)
    blocks = np.lib.stride_tricks.sliding_window_view(np.pad(source, HOP), 2 * HOP)[::HOP]
    window = np.hanning(2 * HOP + 1)[:-1]
    filtered = np.fft.irfft(np.fft.rfft(blocks * window, _FFT_SIZE) * response, _FFT_SIZE)
    pieces = filtered.reshape(num_points, -1, HOP)
    output = np.zeros((num_points + pieces.shape[1], HOP))
    for j in range(pieces.shape[1]):
        output[j : j + num_points] += pieces[:, j]
    return np.asarray(output.reshape(-1)[HOP : HOP + len(source)])


def _resonator(frequency_hz: np.ndarray, bandwidth_hz: np.ndarray) -> np.ndarray:
    """Give 1, -B, -C of Klatt 1980, Eq. 2, shape (P, 3)."""
    radius = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE)
    middle = -2 * radius * np.cos(2 * np.pi * frequency_hz / SAMPLE_RATE)
    return np.stack([np.ones(len(radius)), middle, radius**2], axis=1)


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


def _per_sample(track: np.ndarray) -> np.ndarray:
    num_samples = (len(track) - 1) * HOP
    return np.asarray(np.interp(np.arange(num_samples), np.arange(len(track)) * HOP, track))


def _times(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Multiply polynomials row by row."""
    product = np.zeros((len(p), p.shape[1] + q.shape[1] - 1))
    for k in range(q.shape[1]):
        product[:, k : k + p.shape[1]] += p * q[:, k : k + 1]
    return product


def _tilt_pole(tilt_db: float) -> float:
    """Solve |(1 - p) / (1 - p exp(-i w))|^2 = 10^(-tilt / 10) at w of 3 kHz for 0 <= p < 1."""
    power = 10 ** (-max(tilt_db, 0.0) / 10)
    if power == 1:
        return 0.0
    half = (1 - power * np.cos(2 * np.pi * 3000 / SAMPLE_RATE)) / (1 - power)
    return float(half - np.sqrt(half**2 - 1))
