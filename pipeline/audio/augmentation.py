"""Augmented copies of a clip: the voice, the room and the line are changed, the label is not.

Everything that is drawn is a function of the clip's id, the number of the copy and the name of the
transform, so a copy is the same samples in every run, order and process, and a transform that is
added leaves the draws of the others. Transforms are applied in the order of `AugmentConfig`.
"""

from dataclasses import dataclass, fields

import numpy as np
import soxr
from numpy.random import Generator, default_rng
from scipy.signal import butter, sosfiltfilt

from pipeline.chance import seed_of
from pipeline.errors import ParamsError

CONTRACT = 1  # part of the recipe of copies; rises whenever their samples would change
WINDOW_S = 0.032  # of the frames that are moved apart or together
SLOPE = 6  # order of the low-pass filter, run forwards and backwards
RANGES = {
    "speed": (0.5, 2.0),
    "tempo": (0.5, 2.0),
    "pitch": (-12.0, 12.0),
    "noise": (-20.0, 100.0),
    "lowpass": (100.0, 1e6),
    "gain": (-60.0, 60.0),
}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Something uniform between two ends, that happens to a share of the copies."""

    low: float
    high: float
    chance: float = 1.0


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What is changed in a copy, each as {low, high} and, for some copies only, chance."""

    speed: Draw | None = None  # factor of pitch and tempo together; Ko et al. 2015: 0.9 to 1.1
    tempo: Draw | None = None  # factor of the tempo, the pitch stays
    pitch: Draw | None = None  # semitones, the tempo stays
    noise: Draw | None = None  # white noise, dB of the clip above it
    lowpass: Draw | None = None  # Hz above which the line carries nothing
    gain: Draw | None = None  # dB; beyond full scale it is clipped

    def __post_init__(self) -> None:
        for name, draw in self.given.items():
            where, (least, most) = f"extract.augment.{name}", RANGES[name]
            if not least <= draw.low <= draw.high <= most:
                raise ParamsError(
                    f"{where}: found {draw.low:g} to {draw.high:g}, wanted low to high within "
                    f"{least:g} to {most:g}."
                )
            if not 0 < draw.chance <= 1:
                raise ParamsError(f"{where}.chance: found {draw.chance:g}, wanted above 0 to 1.")

    @property
    def given(self) -> dict[str, Draw]:
        """The transforms that are wanted, in the order in which they are applied."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: draw for name, draw in named.items() if draw is not None}


def augmented(
    waveform: np.ndarray, sample_rate: int, config: AugmentConfig, *, clip_id: str, copy: int
) -> np.ndarray:
    """Return a copy of a clip.

    Args:
        waveform: Mono samples, shape (N,).
        sample_rate: Hertz.
        config: What is changed.
        clip_id: Of the clip.
        copy: The number of the copy, from 1.

    Returns:
        float32, of another length where speed or tempo change.
    """
    result = waveform.astype(np.float64)
    for name, draw in config.given.items():
        generator = default_rng(seed_of("augment", clip_id, copy, name))
        happens, value = generator.random() < draw.chance, generator.uniform(draw.low, draw.high)
        if happens:
            result = _changed(name, result, float(value), sample_rate, generator)
    return result.astype(np.float32)


def _changed(
    name: str, waveform: np.ndarray, value: float, sample_rate: int, generator: Generator
) -> np.ndarray:
    if name == "speed":
        return with_speed(waveform, value, sample_rate)
    if name == "tempo":
        return with_tempo(waveform, value, sample_rate)
    if name == "pitch":
        return with_pitch(waveform, value, sample_rate)
    if name == "noise":
        deviation = float(np.sqrt(np.mean(waveform**2) / 10 ** (value / 10)))
        noisy: np.ndarray = waveform + deviation * generator.standard_normal(len(waveform))
        return noisy
    if name == "lowpass":
        return without_above(waveform, value, sample_rate)
    clipped: np.ndarray = np.clip(waveform * 10 ** (value / 20), -1, 1)
    return clipped


def with_speed(waveform: np.ndarray, factor: float, sample_rate: int) -> np.ndarray:
    """Return samples (N,) played faster by a factor, their pitch with them, shape (N / factor,)."""
    faster: np.ndarray = soxr.resample(waveform, factor * sample_rate, sample_rate, quality="HQ")
    return faster


def with_pitch(waveform: np.ndarray, semitones: float, sample_rate: int) -> np.ndarray:
    """Return samples (N,) at another pitch and of the same length."""
    factor = 2 ** (semitones / 12)
    longer = with_tempo(waveform, 1 / factor, sample_rate)
    moved = with_speed(longer, factor, sample_rate)[: len(waveform)]
    return np.pad(moved, (0, len(waveform) - len(moved)))


def with_tempo(waveform: np.ndarray, factor: float, sample_rate: int) -> np.ndarray:
    """Return samples (N,) faster by a factor at their pitch, shape (N / factor,): a phase vocoder.

    Flanagan and Golden 1966: between two frames of the result the phase of each bin advances as it
    does between the two frames of the source around that moment.
    """
    size = 1 << round(np.log2(WINDOW_S * sample_rate))
    hop = size // 4
    window = np.hanning(size + 1)[:-1]
    length = round(len(waveform) / factor)
    padded = np.pad(waveform, (size // 2, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    spectra = np.fft.rfft(frames * window)
    moments = np.arange(0, length + size // 2 + hop, hop) * factor / hop
    moments = np.minimum(moments, len(spectra) - 1.001)
    before = moments.astype(int)
    share = (moments - before)[:, None]
    size_of = (1 - share) * np.abs(spectra[before]) + share * np.abs(spectra[before + 1])
    due = 2 * np.pi * hop * np.arange(spectra.shape[1]) / size
    turned = np.angle(spectra[before + 1]) - np.angle(spectra[before]) - due
    advance = due + turned - 2 * np.pi * np.round(turned / (2 * np.pi))
    phases = np.cumsum(np.vstack([np.angle(spectra[:1]), advance[:-1]]), axis=0)
    pieces = np.fft.irfft(size_of * np.exp(1j * phases), size) * window
    result = np.zeros(hop * (len(pieces) - 1) + size)
    weight = np.zeros_like(result)
    for i, piece in enumerate(pieces):
        result[i * hop : i * hop + size] += piece
        weight[i * hop : i * hop + size] += window**2
    middle = slice(size // 2, size // 2 + length)
    return result[middle] / np.maximum(weight[middle], 1e-8)


def without_above(waveform: np.ndarray, cutoff: float, sample_rate: int) -> np.ndarray:
    """Return samples (N,) without what is above a frequency, in time; all of it where none is."""
    if cutoff >= sample_rate / 2 or len(waveform) <= 6 * SLOPE:
        return waveform
    sections = butter(SLOPE, cutoff, fs=sample_rate, output="sos")
    filtered: np.ndarray = sosfiltfilt(sections, waveform)
    return filtered
