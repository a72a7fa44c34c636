"""The encoder of Whisper, Qwen2-Audio or Voxtral through transformers; what decodes is not read.

Layers as in `pipeline.encoders.hubert`: layer 0 is the input of block 1 (after the convolutions,
with positions added), layer k the output of block k, the last one that of the final layer norm.

Whisper is trained on windows of 30 s padded with silence, without a mask, so every clip is padded
to that, and sees its padding, but never its neighbours. Pooled are the clip's own frames:

    mel frames = ceil(samples / 160)        one every 10 ms, as WhisperFeatureExtractor masks them
    frames     = ceil(mel frames / 2)       the second convolution has stride 2

With `extract.window_s` of W seconds a clip is padded to W, and the encoder has the first 50 W of
its 1500 positions: about W / 30 of the time, and other numbers, for it is not trained so.

The encoders of Qwen2-Audio and Voxtral are Whisper large's with weights of their own. Qwen2-Audio
averages pairs of frames before the final norm; here they stay single, as in every other layer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.base import BLOCK_ROWS, BlockEncoder, Encoded, Outline
from pipeline.encoders.layer_moments import placed, recorded
from pipeline.encoders.loading import (
    QWEN2_AUDIO,
    VOXTRAL,
    WHISPER,
    fetched,
    load_model,
    tensors_digest,
)
from pipeline.encoders.preprocessors import WhisperPreprocessor, read_preprocessor
from pipeline.errors import EncoderError

# The window of every released checkpoint; a preprocessor that says another is refused.
WINDOW_S = 30

# Those whose encoder stands in a larger model, and how the names of its weights begin there.
IN_TOWERS = (QWEN2_AUDIO, VOXTRAL)
TOWER = r"^(model\.)?audio_tower\."

# Parts of the configuration that change a number of the encoder in eval mode.
NUMERIC_FLAGS = (
    "activation_function",
    "d_model",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "encoder_layers",
    "max_source_positions",
    "num_mel_bins",
)
# Parts of the preprocessor that change a number.
FEATURE_FLAGS = ("chunk_length", "feature_size", "hop_length", "n_fft", "padding_value")


class WhisperEncoder(BlockEncoder):
    """The frozen encoder of a Whisper checkpoint, every layer a row.

    Attributes:
        model: The transformers encoder.
        preprocessor: The checkpoint's WhisperFeatureExtractor.
    """

    layer_convention = BLOCK_ROWS

    def __init__(
        self,
        model: Any,
        preprocessor: Any,
        *,
        family: str = WHISPER,
        weights: str,
        compute_dtype: str,
        device: str,
        window_s: float | None = None,
    ) -> None:
        self.outline = outline(model.config)
        if window_s is not None:
            narrow(model, preprocessor, window_s)
            self.outline = replace(self.outline, max_window_s=window_s)
        self.model = placed(model, compute_dtype=compute_dtype, device=device)
        self.preprocessor = preprocessor
        self.identity = {
            "family": family,
            "weights": weights,
            "flags": {name: getattr(model.config, name) for name in NUMERIC_FLAGS},
            "preprocessor": {name: getattr(preprocessor, name) for name in FEATURE_FLAGS},
        }
        self.sample_rate = int(preprocessor.sampling_rate)
        # A shorter clip does not fill one window of the mel spectrogram.
        self.min_samples = int(preprocessor.n_fft)
        self.padded_samples = int(preprocessor.n_samples)

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a waveform makes: ceil(ceil(N / 160) / 2)."""
        stride: int = self.model.conv1.stride[0] * self.model.conv2.stride[0]
        hop = int(self.preprocessor.hop_length)
        # Of what is not below 0, as ONNX rounds towards 0; no int(): a symbol stays one there.
        num_mel = (num_samples + hop - 1) // hop
        return (num_mel + stride - 1) // stride

    @property
    def blocks(self) -> nn.ModuleList:
        """Its transformer blocks, first to last."""
        found: nn.ModuleList = self.model.layers
        return found

    def run(self, waveforms: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the last layer of waveforms (B, N), of the whole window; gradients pass.

        Raises:
            EncoderError: As `encode`.
        """
        samples = waveforms.cpu().numpy()
        return self._run([clip[:n] for clip, n in zip(samples, lengths, strict=True)])

    def _run(self, waveforms: Sequence[np.ndarray]) -> Tensor:
        longest = max(len(waveform) for waveform in waveforms)
        if longest > self.padded_samples:
            raise EncoderError(
                f"Whisper takes {self.padded_samples} samples at once, found {longest}; "
                f"set extract.max_duration_s to {self.outline.max_window_s:g} or less."
            )
        # It ends in numpy, which has no bfloat16: a training in that must not reach it.
        with torch.autocast("cpu", enabled=False):
            mel = self.preprocessor(
                list(waveforms), sampling_rate=self.sample_rate, return_tensors="pt"
            )["input_features"]
        output = self.model(mel.to(self.model.device, self.model.dtype))
        hidden: Tensor = output.last_hidden_state
        return hidden

    @torch.inference_mode()
    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return the moments of every layer over each waveform's own frames, and some frames.

        Raises:
            EncoderError: If a waveform is longer than the window, which Whisper would cut short.
        """
        frames = [self.num_frames(len(waveform)) for waveform in waveforms]
        with recorded(self.model.layers, self.model, frames, frames_of) as recording:
            self._run(waveforms)
        return recording.by_clip()


def outline(config: Any) -> Outline:
    """Return the shape that the configuration of such an encoder, or of what is around it, says."""
    config = getattr(config, "audio_config", config)
    return Outline(
        num_layers=config.encoder_layers + 1,
        dim=config.d_model,
        max_window_s=WINDOW_S,
        trained_window_s=WINDOW_S,
        frames_per_s=config.max_source_positions / WINDOW_S,
    )


def narrow(model: Any, preprocessor: Any, window_s: float) -> None:
    """Leave a model the first positions of its window, and pad to as many.

    Args:
        model: The encoder, changed in place.
        preprocessor: The WhisperFeatureExtractor, changed in place.
        window_s: Seconds, whole frames of the model.
    """
    num_positions = round(window_s * model.config.max_source_positions / WINDOW_S)
    # The forward pass asks the configuration, the attribute is there for who reads it.
    model.config.max_source_positions = model.max_source_positions = num_positions
    kept = model.embed_positions.weight[:num_positions].detach().clone()
    model.embed_positions.weight = nn.Parameter(kept, requires_grad=False)
    model.embed_positions.num_embeddings = num_positions
    preprocessor.chunk_length = window_s
    preprocessor.nb_max_frames = num_positions * model.conv1.stride[0] * model.conv2.stride[0]
    preprocessor.n_samples = preprocessor.nb_max_frames * preprocessor.hop_length


def load_whisper(
    spelling: str,
    config: Any,
    *,
    is_folder: bool,
    compute_dtype: str,
    device: str,
    window_s: float | None = None,
) -> WhisperEncoder:
    """Load the encoder of a checkpoint of Whisper, Qwen2-Audio or Voxtral.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        config: Its configuration, of what is around the encoder too.
        is_folder: Whether it is a folder.
        compute_dtype: One of `COMPUTE_DTYPES`.
        device: A torch device.
        window_s: Seconds that clips are padded to, as `chosen_window` returned them.

    Raises:
        EncoderError: If it cannot be loaded whole, or its preprocessor is of another window, or
            adds noise.
    """
    from transformers import WhisperFeatureExtractor

    preprocessor = fetched(WhisperFeatureExtractor, spelling, is_folder=is_folder)
    _require_fitting(spelling, getattr(config, "audio_config", config), preprocessor)
    if config.model_type == WHISPER:
        # Without layers the decoder's weights are left in the file, more than half of it.
        config.decoder_layers = 0
        model = load_model(spelling, config, is_folder=is_folder, part="encoder.").encoder
    else:
        model = load_model(
            spelling, config.audio_config, is_folder=is_folder, key_mapping={TOWER: ""}
        )
        model.avg_pooler = nn.Identity()
    return WhisperEncoder(
        model,
        preprocessor,
        family=config.model_type,
        weights=tensors_digest(model.state_dict()),  # the checkpoint's, whatever the window
        compute_dtype=compute_dtype,
        device=device,
        window_s=window_s,
    )


def _require_fitting(spelling: str, config: Any, preprocessor: Any) -> None:
    """Hold the preprocessor to what the model and this module take for granted."""
    told = read_preprocessor(WhisperPreprocessor, spelling, preprocessor)
    frames = told.n_samples // told.hop_length
    for name, found, wanted in (
        ("chunk_length", told.chunk_length, WINDOW_S),
        ("feature_size", told.feature_size, config.num_mel_bins),
        ("dither", told.dither, 0.0),
        ("padding_side", told.padding_side, "right"),
        ("frames per window", frames, 2 * config.max_source_positions),
    ):
        if found != wanted:
            raise EncoderError(
                f"extract.encoder: {spelling}: its preprocessor_config.json says {name} {found}, "
                f"wanted {wanted}; take both files from one checkpoint."
            )
