"""What is measured of a sound."""

import numpy as np
from scipy.signal import find_peaks

from pipeline.corpora.source_filter import SAMPLE_RATE


def autocorrelation_f0(sound: np.ndarray, *, lowest: float = 70, highest: float = 450) -> float:
    """Take the first of the autocorrelation's high peaks; the others are its multiples."""
    sound = sound - sound.mean()
    power = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    r = np.fft.irfft(power)[: len(sound)] / np.arange(len(sound), 0, -1)
    first, last = int(SAMPLE_RATE / highest), int(SAMPLE_RATE / lowest)
    peaks = find_peaks(r[first:last])[0] + first
    lag = peaks[r[peaks] > 0.9 * r[peaks].max()][0]
    before, here, after = r[lag - 1 : lag + 2]
    return float(SAMPLE_RATE / (lag + (before - after) / (before - 2 * here + after) / 2))


def high_share(sound: np.ndarray) -> float:
    """The part of the power above 1 kHz."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(power[len(power) // 8 :].sum() / power.sum())
