"""Prosody of a waveform, without openSMILE: F0, loudness, pauses, harmonicity.

F0 is that of the normalised cross-correlation (Talkin 1995, A robust algorithm for pitch tracking),
    r(k) = sum_n x(n) x(n + k) / sqrt(sum_n x(n)^2 sum_n x(n + k)^2),
frame by frame: the first lag k of 60 to 500 Hz where r has a peak within .9 of its largest one, so
that no multiple of a period is taken for it. librosa's would bring numba along, Praat's and
openSMILE's have licences that this project cannot pass on.
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.descriptions.acoustics import PEAKS_PER_S, VOICED_S

SAMPLE_RATE = 16000  # hertz
WINDOW_S, HOP_S = 0.040, 0.010
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
NEAR = 0.9  # of the largest peak: the first that high is the period
LEAST_VOICED = 0.5  # r of a voiced frame
FLOOR_DB = -30.0  # a frame sounds above this, below the loud frames of its clip
LOUD_PERCENTILE = 95
EXPONENT = 0.6  # of RMS: loudness doubles with 10 dB (Stevens' power law)
LEAST_PAUSE_S = 0.15
SMOOTHED = 5  # frames
LEAST_PROMINENCE = 0.1  # of a peak of loudness, of the loudest frame
LEAST_FRAMES = 10  # voiced ones: of fewer there is no line
OCTAVE_ST = 12.0
A0_HZ = 27.5  # semitones are counted from here, as in eGeMAPS
MIN_SAMPLES = round((WINDOW_S + 1 / LOWEST_HZ) * SAMPLE_RATE) + 1

NUMBERS = (
    "pitch",
    "variation",
    "slope",
    "energy",
    "dynamics",
    "pauses",
    "tone",
    PEAKS_PER_S,
    VOICED_S,
)
# All that a number depends on; what is kept of another one is measured anew.
IDENTITY: dict[str, Any] = {"measure": "prosody", "version": 1}


class Track(NamedTuple):
    """A clip frame by frame, every 10 ms.

    Attributes:
        hertz: Fundamental frequency, shape (T,); it means nothing where there is no voice.
        strength: r at its lag, shape (T,).
        loudness: RMS to the power of .6, shape (T,).
        sounds: Whether a frame is less than 30 dB below the loud ones, shape (T,).
    """

    hertz: np.ndarray
    strength: np.ndarray
    loudness: np.ndarray
    sounds: np.ndarray

    @property
    def voiced(self) -> np.ndarray:
        """Whether a frame has a voice, shape (T,)."""
        voiced: np.ndarray = self.sounds & (self.strength > LEAST_VOICED)
        return voiced

    @property
    def semitones(self) -> np.ndarray:
        """F0 in semitones above 27.5 Hz, shape (T,)."""
        semitones: np.ndarray = OCTAVE_ST * np.log2(self.hertz / A0_HZ)
        return semitones


def track(waveform: np.ndarray) -> Track:
    """Follow F0 and loudness through a clip.

    Args:
        waveform: Mono samples at `SAMPLE_RATE`, shape (N,), N >= `MIN_SAMPLES`.
    """
    hertz, strength = f0(waveform)
    rms = _rms(waveform, len(hertz))
    sounds = rms > np.percentile(rms, LOUD_PERCENTILE) * 10 ** (FLOOR_DB / 20)
    return Track(hertz, strength, rms**EXPONENT, sounds)


def prosody(clip: Track) -> dict[str, float]:
    """Measure a clip.

    Returns:
        Of `NUMBERS`: pitch (semitones above 27.5 Hz), variation (semitones), slope (semitones per
        second), energy and dynamics (loudness), pauses (0 to 1), tone (dB), and for the slot speed
        peaks_per_s and voiced_s. What a clip has not, such as a pitch where no frame is voiced, is
        absent.
    """
    first, last = int(np.argmax(clip.sounds)), len(clip.sounds) - int(np.argmax(clip.sounds[::-1]))
    loudness, silent = clip.loudness[first:last], ~clip.sounds[first:last]
    span_s = len(loudness) * HOP_S
    low, high = np.percentile(loudness, [20, 80])
    found = {
        "energy": float(loudness.mean()),
        "dynamics": float(high - low),
        "pauses": _in_stretches(silent, round(LEAST_PAUSE_S / HOP_S)) * HOP_S / span_s,
        PEAKS_PER_S: _num_peaks(loudness) / span_s,
    }
    voiced = clip.voiced
    if not voiced.any():
        return found
    r = np.clip(clip.strength[voiced], 1e-3, 1 - 1e-3)
    semitones = clip.semitones[voiced]
    median = np.median(semitones)
    # What lies an octave from the rest is an error of the tracker more often than a voice.
    trusted = np.abs(semitones - median) < OCTAVE_ST
    lowest, highest = np.percentile(semitones[trusted], [20, 80])
    found |= {
        "pitch": float(median),
        "variation": float(highest - lowest),
        "tone": float(np.mean(10 * np.log10(r / (1 - r)))),
        VOICED_S: float(voiced.sum()) * HOP_S,
    }
    if trusted.sum() >= LEAST_FRAMES:
        seconds = np.flatnonzero(voiced)[trusted] * HOP_S
        found["slope"] = float(np.polyfit(seconds, semitones[trusted], 1)[0])
    return found


def f0(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the fundamental frequency of each frame of 40 ms, every 10 ms, and how sure it is.

    Args:
        waveform: Mono samples at `SAMPLE_RATE`, shape (N,), N >= `MIN_SAMPLES`.

    Returns:
        Hertz and r at its lag, shape (T,) each, T = floor((N - `MIN_SAMPLES`) / 160) + 1; a frame
        without any periodicity has r near 0 and a frequency that means nothing.
    """
    size, hop = round(WINDOW_S * SAMPLE_RATE), round(HOP_S * SAMPLE_RATE)
    shortest = int(SAMPLE_RATE / HIGHEST_HZ)
    longest = MIN_SAMPLES - 1 - size
    frames = np.lib.stride_tricks.sliding_window_view(waveform, MIN_SAMPLES)[::hop]
    frames = frames - frames.mean(1, keepdims=True, dtype=np.float64)  # (T, size + longest + 1)
    points = 2 ** int(np.ceil(np.log2(MIN_SAMPLES + size)))
    spectrum = np.fft.rfft(frames, points)
    products = np.fft.irfft(np.conj(np.fft.rfft(frames[:, :size], points)) * spectrum, points)
    sums = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    energies = sums[:, size:] - sums[:, :-size]  # (T, longest + 2), by lag
    lags = np.arange(shortest - 1, longest + 1)
    r = products[:, lags] / np.sqrt(energies[:, :1] * energies[:, lags] + 1e-12)
    inner = r[:, 1:-1]
    is_peak = (inner >= r[:, :-2]) & (inner > r[:, 2:])
    peaks = np.where(is_peak, inner, 0.0)
    first = np.argmax(peaks >= NEAR * peaks.max(1, keepdims=True), axis=1)  # (T,)
    rows = np.arange(len(r))
    before, here, after = r[rows, first], r[rows, first + 1], r[rows, first + 2]
    bend = before - 2 * here + after
    # The top of the parabola through a peak lies within half a lag of it.
    shift = np.clip((before - after) / (2 * np.where(bend < 0, bend, -1.0)), -0.5, 0.5)
    return SAMPLE_RATE / (lags[first + 1] + shift), peaks[rows, first]


def _rms(waveform: np.ndarray, num_frames: int) -> np.ndarray:
    """Return the root of the mean square of each frame's window, shape (T,)."""
    size, hop = round(WINDOW_S * SAMPLE_RATE), round(HOP_S * SAMPLE_RATE)
    sums = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    starts = np.arange(num_frames) * hop
    rms: np.ndarray = np.sqrt(np.maximum(sums[starts + size] - sums[starts], 0.0) / size)
    return rms


def _in_stretches(silent: np.ndarray, least: int) -> int:
    """Return how many frames are in stretches of at least `least` silent ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= least].sum())


def _num_peaks(loudness: np.ndarray) -> int:
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import find_peaks

    smooth = uniform_filter1d(loudness, SMOOTHED)
    return len(find_peaks(smooth, prominence=LEAST_PROMINENCE * loudness.max())[0])
