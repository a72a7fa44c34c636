"""Log-mel filterbank statistics as an encoder without weights (`extract.encoder: fbank`).

Kaldi's `fbank` at 16 kHz by transformers.audio_utils: samples in the range of 16-bit integers,
windows of 25 ms every 10 ms within the clip, DC offset removed, pre-emphasis 0.97, Povey window,
power spectrum of 512 points, 80 triangles between 20 Hz and 8 kHz, natural logarithm; no dither.

    layer 0   delta-deltas: the deltas of layer 1
    layer 1   deltas (Young et al. 2006, The HTK Book, section 5.9), past the edges the edge's:
                d_t = sum_n n (c_{t+n} - c_{t-n}) / (2 sum_n n^2),  n = 1, 2
    layer 2   the log-mel energies c_t, the layer that is x1

Over a clip the mean of a delta is nearly nothing and its deviation says how lively a band is, so
`extract.pooling: mean_std` is the setting to take.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.pooling import Moments, masked_moments

SPELLING = "fbank"
NUM_BANDS = 80
SAMPLE_RATE = 16000
FRAME = 400  # samples
HOP = 160  # samples
FFT = 512  # points
LOW_HZ, HIGH_HZ = 20, 8000
PRE_EMPHASIS = 0.97
SCALE = 32768.0  # Kaldi reads 16-bit integers as they are
FLOOR = float(np.finfo(np.float32).eps)  # Kaldi's, below which no energy is taken the logarithm of
DELTA_REACH = 2  # frames to either side

OUTLINE = Outline(
    num_layers=3, dim=NUM_BANDS, compute_dtypes=("float32",), frames_per_s=SAMPLE_RATE / HOP
)


class FilterbankEncoder(Encoder):
    """Log-mel filterbank energies and their deltas; nothing in it is learnt."""

    outline = OUTLINE
    layer_convention = "delta-deltas, deltas, log-mel"
    sample_rate = SAMPLE_RATE
    min_samples = FRAME

    def __init__(self) -> None:
        from transformers.audio_utils import mel_filter_bank, window_function

        self.identity = {
            "family": SPELLING,
            "flags": {
                "bands": NUM_BANDS,
                "delta_reach": DELTA_REACH,
                "fft": FFT,
                "floor": FLOOR,
                "frame": FRAME,
                "high_hz": HIGH_HZ,
                "hop": HOP,
                "low_hz": LOW_HZ,
                "mel": "kaldi",
                "pre_emphasis": PRE_EMPHASIS,
                "scale": SCALE,
                "window": "povey",
            },
        }
        self._window: np.ndarray = window_function(FRAME, "povey", periodic=False)
        self._filters: np.ndarray = mel_filter_bank(
            num_frequency_bins=FFT // 2 + 1,
            num_mel_filters=NUM_BANDS,
            min_frequency=LOW_HZ,
            max_frequency=HIGH_HZ,
            sampling_rate=SAMPLE_RATE,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )

    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return the moments of the three layers over each waveform's frames, and some frames."""
        return [self._encoded(waveform, frames_of) for waveform in waveforms]

    def _encoded(self, waveform: np.ndarray, frames_of: Sequence[int]) -> Encoded:
        frames = torch.from_numpy(self.frames(waveform))
        counts = torch.full((3,), frames.shape[1])
        mean, scatter = masked_moments(frames, counts)
        return Encoded(
            moments=Moments(frames.shape[1], mean, scatter),
            frames=frames[list(frames_of)].transpose(0, 1).contiguous() if frames_of else None,
        )

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Return delta-deltas, deltas and log-mel energies, float32, shape (3, T, 80)."""
        from transformers.audio_utils import spectrogram

        energies = spectrogram(
            waveform.astype(np.float64) * SCALE,
            self._window,
            frame_length=FRAME,
            hop_length=HOP,
            fft_length=FFT,
            power=2.0,
            center=False,
            preemphasis=PRE_EMPHASIS,
            mel_filters=self._filters,
            mel_floor=FLOOR,
            log_mel="log",
            remove_dc_offset=True,
        ).T
        first = deltas(energies)
        return np.stack([deltas(first), first, energies])


def deltas(frames: np.ndarray) -> np.ndarray:
    """Return the deltas of frames (T, D): the slope of a line through five frames, shape (T, D)."""
    from scipy.signal import savgol_filter

    slopes: np.ndarray = savgol_filter(
        frames, 2 * DELTA_REACH + 1, polyorder=1, deriv=1, axis=0, mode="nearest"
    )
    return slopes.astype(np.float32)
