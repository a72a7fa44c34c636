"""Sound from a source and a filter: glottal pulses and noise through resonators (Fant 1960).

Sound has `SAMPLE_RATE` samples a second. Whatever moves slowly (formants, gains, pitch) is a
track: one value at each of P points, `HOP` samples apart, so that P points span (P - 1) HOP
samples.
"""

import numpy as np

SAMPLE_RATE = 16_000
HOP = 80
# Long enough for a resonance of 60 Hz bandwidth to decay by 60 dB after a block of 2 HOP.
_FFT_SIZE = 800


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


def noise_filter(source: np.ndarray, *, centre_hz: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
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


def per_sample(track: np.ndarray) -> np.ndarray:
    """Interpolate a track, shape (P,), to one value per sample, shape ((P - 1) HOP,)."""
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
