"""The frozen speech encoder: HuBERT and its kin (`OF_WAVEFORMS`) through transformers.

Layers, the same for every family and every version of transformers (L = blocks + 1):

    layer 0      the input of block 1: after the positional convolution, and after the layer norm
                 where the model has one there (post-norm models)
    layer k      the output of block k, 1 <= k <= L-2
    layer L-1    the last output, normalised: `last_hidden_state`

They are taken by hooks on the blocks, because `hidden_states[-1]` is the normalised output under
transformers 4 and the output before the final norm under transformers 5 for HuBERT-large.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.encoders.base import BLOCK_ROWS, BlockEncoder, Encoded, Outline
from pipeline.encoders.layer_moments import placed, recorded
from pipeline.encoders.loading import Checkpoint

SAMPLE_RATE = 16000  # of all these families, where only a configuration is known


class PerClip(nn.Module):
    """Runs a convolution on each clip alone and pads what comes out.

    A group norm over time, and stacked positional convolutions, see the padding of a batch even
    under an attention mask; run clip by clip they cannot.
    """

    def __init__(self, inner: nn.Module, *, time_axis: int) -> None:
        super().__init__()
        self.inner = inner
        self.time_axis = time_axis
        self.lengths: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        """Apply the inner module to `batch[i, :lengths[i]]` for each i; zeros beyond."""
        outputs = [
            self.inner(clip[None, :length])[0]
            for clip, length in zip(batch, self.lengths, strict=True)
        ]
        axis = self.time_axis - 1
        longest = max(output.shape[axis] for output in outputs)
        # `pad` counts sides from the last axis; nothing is written in place, so gradients pass.
        before = [0] * (2 * (outputs[0].ndim - 1 - axis))
        return torch.stack(
            [
                functional.pad(output, [*before, 0, longest - output.shape[axis]])
                for output in outputs
            ]
        )


class SpeechEncoder(BlockEncoder):
    """A frozen encoder whose every layer is a row.

    Attributes:
        model: The transformers model, its convolutions run clip by clip.
    """

    layer_convention = BLOCK_ROWS

    def __init__(self, checkpoint: Checkpoint, *, compute_dtype: str, device: str) -> None:
        model = placed(checkpoint.model, compute_dtype=compute_dtype, device=device)
        model.feature_extractor = PerClip(model.feature_extractor, time_axis=2)
        model.encoder.pos_conv_embed = PerClip(model.encoder.pos_conv_embed, time_axis=1)
        self.model = model
        self.outline = outline(model.config)
        self.identity = {
            "family": checkpoint.family,
            "weights": checkpoint.weights_digest,
            "flags": dict(checkpoint.config),
        }
        self.sample_rate = checkpoint.sample_rate
        self.normalisation = checkpoint.normalisation
        config = checkpoint.config
        self._kernels = list(zip(config["conv_kernel"], config["conv_stride"], strict=True))
        self.min_samples = self._receptive_field()

    def _receptive_field(self) -> int:
        """Return how many samples make one frame (400 for HuBERT)."""
        field, step = 1, 1
        for kernel, stride in self._kernels:
            field += (kernel - 1) * step
            step *= stride
        return field

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a waveform makes; floor((N - 400) / 320) + 1 for HuBERT."""
        length = num_samples
        for kernel, stride in self._kernels:
            length = (length - kernel) // stride + 1
        return max(length, 0)

    @property
    def blocks(self) -> nn.ModuleList:
        """Its transformer blocks, first to last."""
        found: nn.ModuleList = self.model.encoder.layers
        return found

    def run(self, waveforms: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the last layer of waveforms (B, N), shape (B, T, D); gradients pass."""
        self.model.feature_extractor.lengths = list(lengths)
        self.model.encoder.pos_conv_embed.lengths = [self.num_frames(n) for n in lengths]
        # Without padding no mask is wanted: a clip alone takes the model's plain path.
        mask: Tensor | None = None
        if min(lengths) < max(lengths):
            mask = torch.zeros(waveforms.shape, dtype=torch.long)
            for row, length in zip(mask, lengths, strict=True):
                row[:length] = 1
            mask = mask.to(self.model.device)
        with warnings.catch_warnings():
            # WavLM of transformers mixes the types of two masks, which torch will still add.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            output = self.model(
                waveforms.to(self.model.device, self.model.dtype), attention_mask=mask
            )
        hidden: Tensor = output.last_hidden_state
        return hidden

    @torch.inference_mode()
    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return the moments of every layer over each waveform's own frames, and some frames."""
        lengths = [len(waveform) for waveform in waveforms]
        frames = [self.num_frames(length) for length in lengths]
        batch = torch.zeros(len(waveforms), max(lengths))
        for i, waveform in enumerate(waveforms):
            batch[i, : lengths[i]] = torch.from_numpy(waveform)
        with recorded(self.blocks, self.model.encoder, frames, frames_of) as recording:
            self.run(batch, lengths)
        return recording.by_clip()


def outline(config: Any) -> Outline:
    """Return the shape that a transformers configuration of these families promises."""
    return Outline(
        num_layers=config.num_hidden_layers + 1,
        dim=config.hidden_size,
        frames_per_s=SAMPLE_RATE / math.prod(config.conv_stride),
    )
