"""EnCodec through transformers (`extract.encoder: encodec:<folder or owner/name@commit>`).

Défossez et al. 2022, High Fidelity Neural Audio Compression. The number of books follows from the
largest of the checkpoint's `target_bandwidths`: 32 of facebook/encodec_24khz, 75 frames a second.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.encoders.base import Outline
from pipeline.encoders.codecs import CodecEncoder, codec_outline, read_codec_config, whereabouts
from pipeline.encoders.layer_moments import placed
from pipeline.encoders.loading import load_model, tensors_digest
from pipeline.errors import EncoderError

NAME = "encodec"

STATED = ("codebook_size", "sampling_rate", "target_bandwidths", "upsampling_ratios")
# Parts of the configuration that change a code in eval mode.
NUMERIC_FLAGS = (
    "codebook_dim",
    "codebook_size",
    "compress",
    "dilation_growth_rate",
    "hidden_size",
    "kernel_size",
    "last_kernel_size",
    "norm_type",
    "normalize",
    "num_filters",
    "num_lstm_layers",
    "num_residual_layers",
    "pad_mode",
    "residual_kernel_size",
    "sampling_rate",
    "upsampling_ratios",
    "use_causal_conv",
    "use_conv_shortcut",
)


class EncodecEncoder(CodecEncoder):
    """A frozen EnCodec of mono audio.

    Attributes:
        model: The transformers model without its decoder.
    """

    def __init__(self, model: Any, outline: Outline, *, device: str) -> None:
        del model.decoder  # not used, and no part of the digest
        config = model.config
        self.outline = outline
        flags = {name: getattr(config, name) for name in NUMERIC_FLAGS}
        self.identity = {
            "family": NAME,
            "weights": tensors_digest(model.state_dict()),
            "flags": {k: list(v) if isinstance(v, tuple) else v for k, v in flags.items()},
        }
        self.sample_rate = int(config.sampling_rate)
        self.min_samples = int(config.hop_length)
        self._books = torch.stack([layer.codebook.embed for layer in model.quantizer.layers])
        self.model = placed(model, compute_dtype="float32", device=device)

    def codebooks(self) -> Tensor:
        """Return the vectors of its codebooks, shape (Q, K, D)."""
        return self._books

    def codes(self, waveform: Tensor) -> Tensor:
        """Return the codes of samples (N,), shape (Q, T), T = ceil(N / hop)."""
        encoded = self.model.encode(
            waveform[None, None].to(self.model.device),
            bandwidth=max(self.model.config.target_bandwidths),
        )
        codes: Tensor = encoded.audio_codes[0, 0]  # of (chunks, B, Q, T)
        return codes


def outline(spelling: str) -> Outline:
    """Return the shape that a checkpoint's configuration promises.

    Raises:
        EncoderError: If it cannot be had, or is one of stereo or of chunks.
    """
    return _outline(spelling, read_codec_config(spelling, kind=NAME, stated=STATED))


def _outline(spelling: str, config: Any) -> Outline:
    if config.audio_channels != 1 or config.chunk_length_s is not None:
        raise EncoderError(
            f"extract.encoder: {spelling}: found {config.audio_channels} channels and chunks of "
            f"{config.chunk_length_s} s, wanted one channel and no chunks, as "
            "facebook/encodec_24khz has; use that."
        )
    return codec_outline(
        spelling,
        num_codebooks=config.num_quantizers,
        num_codes=config.codebook_size,
        dim=config.codebook_dim,
        rate=config.sampling_rate,
        hop=config.hop_length,
    )


def open_codec(spelling: str, *, device: str) -> EncodecEncoder:
    """Load a checkpoint, whole or not at all.

    Raises:
        EncoderError: If it is not to be had, or a weight is missing.
    """
    config = read_codec_config(spelling, kind=NAME, stated=STATED)
    found = _outline(spelling, config)
    name, is_folder = whereabouts(spelling)
    return EncodecEncoder(load_model(name, config, is_folder=is_folder), found, device=device)
