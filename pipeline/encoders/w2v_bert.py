"""w2v-BERT 2.0 through transformers: a conformer on log-mel filterbanks.

Layers as in `pipeline.encoders.hubert`: layer 0 is the input of block 1 (after the projection of
the features), layer k the output of block k, whose own layer norm ends it; an adapter behind the
blocks is not used.

    mel frames = 1 + floor((samples - 400) / 160)     one every 10 ms
    frames     = floor(mel frames / 2)                two side by side, as the preprocessor masks

Each mel channel is scaled to mean 0 and variance 1 over the clip, by the preprocessor.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.base import BLOCK_ROWS, BlockEncoder, Encoded, Outline
from pipeline.encoders.layer_moments import placed, recorded
from pipeline.encoders.loading import W2V_BERT, fetched, load_model, tensors_digest
from pipeline.errors import EncoderError

WINDOW, HOP = 400, 160  # samples of a mel frame, and between two; of every preprocessor of its kind
RATE = 16000

# Parts of the configuration that change a number of the blocks in eval mode.
NUMERIC_FLAGS = (
    "conv_depthwise_kernel_size",
    "feature_projection_input_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "left_max_position_embeddings",
    "max_source_positions",
    "num_attention_heads",
    "num_hidden_layers",
    "position_embeddings_type",
    "right_max_position_embeddings",
    "rotary_embedding_base",
)
# Parts of the preprocessor that change a number.
FEATURE_FLAGS = ("num_mel_bins", "padding_value", "stride")


class W2vBertEncoder(BlockEncoder):
    """The frozen blocks of a w2v-BERT 2.0 checkpoint, every layer a row.

    Attributes:
        model: The transformers model.
        preprocessor: The checkpoint's SeamlessM4TFeatureExtractor.
    """

    layer_convention = BLOCK_ROWS

    def __init__(
        self, model: Any, preprocessor: Any, *, weights: str, compute_dtype: str, device: str
    ) -> None:
        self.model = placed(model, compute_dtype=compute_dtype, device=device)
        self.preprocessor = preprocessor
        self.outline = outline(model.config)
        self.identity = {
            "family": W2V_BERT,
            "weights": weights,
            "flags": {name: getattr(model.config, name) for name in NUMERIC_FLAGS},
            "preprocessor": {name: getattr(preprocessor, name) for name in FEATURE_FLAGS},
        }
        self.sample_rate = RATE
        self.min_samples = WINDOW + (int(preprocessor.stride) - 1) * HOP

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a waveform makes: floor((1 + floor((N - 400) / 160)) / 2)."""
        return max(1 + (num_samples - WINDOW) // HOP, 0) // int(self.preprocessor.stride)

    @property
    def blocks(self) -> nn.ModuleList:
        """Its conformer blocks, first to last."""
        found: nn.ModuleList = self.model.encoder.layers
        return found

    def run(self, waveforms: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the last layer of waveforms (B, N), shape (B, T, D); gradients pass."""
        samples = waveforms.cpu().numpy()
        return self._run([clip[:n] for clip, n in zip(samples, lengths, strict=True)])

    def _run(self, waveforms: Sequence[np.ndarray]) -> Tensor:
        inputs = self.preprocessor(
            list(waveforms), sampling_rate=self.sample_rate, return_tensors="pt"
        )
        features = inputs["input_features"].to(self.model.device, self.model.dtype)
        hidden, _ = self.model.feature_projection(features)
        mask = inputs["attention_mask"].to(self.model.device)
        output: Tensor = self.model.encoder(hidden, attention_mask=mask).last_hidden_state
        return output

    @torch.inference_mode()
    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return the moments of every layer over each waveform's own frames, and some frames."""
        frames = [self.num_frames(len(waveform)) for waveform in waveforms]
        with recorded(self.blocks, self.model.encoder, frames, frames_of) as recording:
            self._run(waveforms)
        return recording.by_clip()


def outline(config: Any) -> Outline:
    """Return the shape that a Wav2Vec2BertConfig promises."""
    return Outline(
        num_layers=config.num_hidden_layers + 1,
        dim=config.hidden_size,
        frames_per_s=RATE / (2 * HOP),
    )


def load_w2v_bert(
    spelling: str, config: Any, *, is_folder: bool, compute_dtype: str, device: str
) -> W2vBertEncoder:
    """Load a w2v-BERT 2.0 checkpoint.

    Args:
        spelling: A folder, or `hub/id@revision`.
        config: Its Wav2Vec2BertConfig.
        is_folder: Whether it is a folder.
        compute_dtype: One of `COMPUTE_DTYPES`.
        device: A torch device.

    Raises:
        EncoderError: If it cannot be loaded whole, or its preprocessor is of another model.
    """
    from transformers import SeamlessM4TFeatureExtractor

    preprocessor = fetched(SeamlessM4TFeatureExtractor, spelling, is_folder=is_folder)
    width = preprocessor.num_mel_bins * preprocessor.stride
    for name, found, wanted in (
        ("num_mel_bins x stride", width, config.feature_projection_input_dim),
        ("sampling_rate", preprocessor.sampling_rate, RATE),
        ("stride", preprocessor.stride, 2),
    ):
        if found != wanted:
            raise EncoderError(
                f"extract.encoder: {spelling}: its preprocessor_config.json says {name} {found}, "
                f"wanted {wanted}; take both files from one checkpoint."
            )
    model = load_model(spelling, config, is_folder=is_folder, part="encoder.")
    return W2vBertEncoder(
        model,
        preprocessor,
        weights=tensors_digest(model.state_dict()),
        compute_dtype=compute_dtype,
        device=device,
    )
