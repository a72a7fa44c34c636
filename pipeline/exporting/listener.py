"""A waveform to the layers of its clip, as extraction makes them, as one module."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.encoders.base import BlockEncoder, Encoder
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.encoders.layer_moments import listening
from pipeline.encoders.pooling import Moments, pool
from pipeline.encoders.whisper import WhisperEncoder
from pipeline.errors import EncoderError


class Listener(nn.Module):
    """One clip at a time: the padding of a batch would want a mask in the file."""

    def __init__(self, encoder: Encoder, pooling: str) -> None:
        """Take an encoder, which is put into float32, and a value of `extract.pooling`.

        Raises:
            EncoderError: If what it hears is computed outside torch.
        """
        super().__init__()
        if not isinstance(encoder, SpeechEncoder | WhisperEncoder):
            raise EncoderError(
                f"an encoder of the family {encoder.identity.get('family')!r} is not exported, "
                "wanted HuBERT, its kin of raw waveforms, or Whisper; export the head alone, with "
                "--onnx."
            )
        self.encoder: BlockEncoder = encoder
        self.model = encoder.model.float()
        self.pooling = pooling
        self.mel = LogMel(encoder.preprocessor) if isinstance(encoder, WhisperEncoder) else None
        self.whole = self.model if self.mel is not None else self.model.encoder

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the layers of a clip, shape (1, L, D), of its samples (1, N)."""
        layers: list[Tensor] = []
        num_samples = waveform.shape[1]
        # Whisper sees its whole window, of which a clip's own frames are pooled.
        own = self.encoder.num_frames(num_samples) if self.mel is not None else None

        def take(hidden: Tensor) -> None:
            frames = hidden.float()[:, :own]
            mean = frames.mean(1)
            scatter = (frames - mean[:, None]).square().sum(1)
            layers.append(pool(Moments(frames.shape[1], mean, scatter), self.pooling))

        with listening(self.encoder.blocks, self.whole, take):
            if self.mel is not None:
                self.model(self.mel(waveform))
            else:
                self.encoder.run(self._normalised(waveform), [num_samples])
        return torch.stack(layers, 1)

    def _normalised(self, waveform: Tensor) -> Tensor:
        if self.encoder.normalisation == "none":
            return waveform
        centred = waveform - waveform.mean(1, keepdim=True)
        return centred / (centred.square().mean(1, keepdim=True) + 1e-7).sqrt()


class LogMel(nn.Module):
    """WhisperFeatureExtractor in products of matrices, which ONNX has.

    Of frames of n_fft samples every hop_length, under a Hann window, log10 of the power in mel
    bands, no more than 8 below the clip's largest; then (x + 4) / 4.
    """

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.n_fft, self.hop = int(preprocessor.n_fft), int(preprocessor.hop_length)
        self.n_samples = int(preprocessor.n_samples)
        # In float64: the sums of a plain product would drown the quiet bands in float32.
        times = torch.arange(self.n_fft, dtype=torch.float64)
        turns = torch.outer(times, torch.arange(self.n_fft // 2 + 1, dtype=torch.float64))
        angles = 2 * math.pi / self.n_fft * (turns % self.n_fft)
        window = torch.hann_window(self.n_fft, dtype=torch.float64)[:, None]
        self.register_buffer("cosines", window * angles.cos())
        self.register_buffer("sines", window * angles.sin())
        self.register_buffer("filters", torch.as_tensor(preprocessor.mel_filters).double())

    cosines: Tensor
    sines: Tensor
    filters: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the mel spectrogram of samples (1, N), padded to the window, shape (1, M, T)."""
        silence = waveform.new_zeros(1, self.n_samples)
        padded = torch.cat([waveform, silence], dim=1)[:, : self.n_samples]
        half = self.n_fft // 2
        padded = functional.pad(padded, (half, half), mode="reflect")
        frames = padded.unfold(1, self.n_fft, self.hop)[:, :-1].double()  # (1, T, n_fft)
        power = (frames @ self.cosines).square() + (frames @ self.sines).square()
        log = (power @ self.filters).clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax((1, 2), keepdim=True) - 8)
        return ((log + 4) / 4).float().transpose(1, 2)
