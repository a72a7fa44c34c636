"""Descript Audio Codec through transformers (`extract.encoder: dac:<folder or owner/name@commit>`).

Kumar et al. 2023, High-Fidelity Audio Compression with Improved RVQGAN. Codes are looked up in a
space of 8 dimensions; the vector of a code here is what it adds to the latent, out_proj of it.
A clip is padded with zeros to whole frames, as its DacFeatureExtractor does.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.encoders.base import Outline
from pipeline.encoders.codecs import CodecEncoder, codec_outline, read_codec_config, whereabouts
from pipeline.encoders.layer_moments import placed
from pipeline.encoders.loading import load_model, tensors_digest

NAME = "dac"

STATED = (
    "codebook_dim",
    "codebook_size",
    "downsampling_ratios",
    "encoder_hidden_size",
    "n_codebooks",
    "sampling_rate",
)
# Parts of the configuration that change a code in eval mode.
NUMERIC_FLAGS = (
    "codebook_dim",
    "codebook_size",
    "downsampling_ratios",
    "encoder_hidden_size",
    "hidden_size",
    "sampling_rate",
)


class DacEncoder(CodecEncoder):
    """A frozen DAC.

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
            "flags": {
                **{k: list(v) if isinstance(v, tuple) else v for k, v in flags.items()},
                "padding": "zeros to whole frames",
            },
        }
        self.sample_rate = int(config.sampling_rate)
        self.min_samples = _hop(config)
        self._books = torch.stack([_projected(book) for book in model.quantizer.quantizers])
        self.model = placed(model, compute_dtype="float32", device=device)

    def codebooks(self) -> Tensor:
        """Return what each code adds to the latent, shape (Q, K, D)."""
        return self._books

    def codes(self, waveform: Tensor) -> Tensor:
        """Return the codes of samples (N,), shape (Q, T), T = ceil(N / hop)."""
        padded = torch.nn.functional.pad(waveform, (0, -len(waveform) % self.min_samples))
        codes: Tensor = self.model.encode(padded[None, None].to(self.model.device)).audio_codes[0]
        return codes


def outline(spelling: str) -> Outline:
    """Return the shape that a checkpoint's configuration promises.

    Raises:
        EncoderError: If it cannot be had.
    """
    return _outline(spelling, read_codec_config(spelling, kind=NAME, stated=STATED))


def open_codec(spelling: str, *, device: str) -> DacEncoder:
    """Load a checkpoint, whole or not at all.

    Raises:
        EncoderError: If it is not to be had, or a weight is missing.
    """
    config = read_codec_config(spelling, kind=NAME, stated=STATED)
    found = _outline(spelling, config)
    name, is_folder = whereabouts(spelling)
    return DacEncoder(load_model(name, config, is_folder=is_folder), found, device=device)


def _outline(spelling: str, config: Any) -> Outline:
    return codec_outline(
        spelling,
        num_codebooks=config.n_codebooks,
        num_codes=config.codebook_size,
        dim=config.hidden_size,
        rate=config.sampling_rate,
        hop=_hop(config),
    )


def _hop(config: Any) -> int:
    return math.prod(config.downsampling_ratios)


def _projected(book: Any) -> Tensor:
    """Return W e_k + b for each vector e_k of a codebook, shape (K, D), the same on any machine.

    The recipe has the digest of these numbers, and a matrix product's last bits differ between
    kinds of CPU; products of two float32 are exact in float64, and here the order of sums is fixed.
    """
    weight, bias, vectors = (
        tensor.detach().numpy().astype(np.float64)
        for tensor in (book.out_proj.weight[..., 0], book.out_proj.bias, book.codebook.weight)
    )
    total = np.broadcast_to(bias, (len(vectors), len(bias)))
    for column, factors in zip(vectors.T, weight.T, strict=True):
        total = total + np.multiply.outer(column, factors)
    return torch.from_numpy(total.astype(np.float32))
