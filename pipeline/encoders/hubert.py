"""The frozen speech encoder: HuBERT, WavLM, wav2vec 2.0 or data2vec-audio through transformers.

Layers, the same for every family and every version of transformers (L = blocks + 1):

    row 0        the input of block 1: after the positional convolution, and after the layer norm
                 where the model has one there (post-norm models)
    row k        the output of block k, 1 <= k <= L-2
    row L-1      the last output, normalised: `last_hidden_state`

They are taken by hooks on the blocks, because `hidden_states[-1]` is the normalised output under
transformers 4 and the output before the final norm under transformers 5 for HuBERT-large.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.loading import Checkpoint, load_checkpoint
from pipeline.encoders.pooling import Moments, masked_moments
from pipeline.errors import EncoderError

COMPUTE_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


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
        shape = list(outputs[0].shape)
        shape[axis] = longest
        padded: Tensor = outputs[0].new_zeros(len(outputs), *shape)
        for row, output in zip(padded, outputs, strict=True):
            row.narrow(axis, 0, output.shape[axis]).copy_(output)
        return padded


class SpeechEncoder:
    """A frozen encoder that turns waveforms into per-layer moments over time.

    Attributes:
        checkpoint: What was loaded: weights digest, configuration, sample rate, normalisation.
        num_layers: L, rows of the features.
        dim: D, width of one row.
    """

    def __init__(self, checkpoint: Checkpoint, *, compute_dtype: str, device: str) -> None:
        if compute_dtype == "float16" and not device.startswith("cuda"):
            raise EncoderError(
                f"extract.compute_dtype: 'float16' needs a GPU, the device is {device!r}; "
                "use 'bfloat16' or 'float32'."
            )
        # TF32 would round float32 products to 10 bits on one kind of GPU only.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self.dtype = COMPUTE_DTYPES[compute_dtype]
        model = checkpoint.model.to(self.device, self.dtype).eval()
        model.feature_extractor = PerClip(model.feature_extractor, time_axis=2)
        model.encoder.pos_conv_embed = PerClip(model.encoder.pos_conv_embed, time_axis=1)
        self.model = model
        config = checkpoint.config
        self._kernels = list(zip(config["conv_kernel"], config["conv_stride"], strict=True))
        self.num_layers: int = config["num_hidden_layers"] + 1
        self.dim: int = config["hidden_size"]

    @property
    def min_samples(self) -> int:
        """The receptive field: fewer samples make no frame (400 for HuBERT)."""
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

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[np.ndarray]) -> list[Moments]:
        """Return the moments of every layer over each waveform's own frames.

        Args:
            waveforms: Normalised mono samples at the encoder's rate, each at least `min_samples`.

        Returns:
            One `Moments` per waveform, with mean and scatter of shape (L, D), on the CPU.
        """
        lengths = [len(waveform) for waveform in waveforms]
        frames = [self.num_frames(length) for length in lengths]
        batch = torch.zeros(len(waveforms), max(lengths))
        mask = torch.zeros(len(waveforms), max(lengths), dtype=torch.long)
        for i, waveform in enumerate(waveforms):
            batch[i, : lengths[i]] = torch.from_numpy(waveform)
            mask[i, : lengths[i]] = 1
        self.model.feature_extractor.lengths = lengths
        self.model.encoder.pos_conv_embed.lengths = frames
        # Without padding no mask is wanted: a clip alone takes the model's plain path.
        whole = min(lengths) == max(lengths)
        with (
            self._recorded(torch.tensor(frames, device=self.device)) as rows,
            warnings.catch_warnings(),
        ):
            # WavLM of transformers mixes the types of two masks, which torch will still add.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            self.model(
                batch.to(self.device, self.dtype),
                attention_mask=None if whole else mask.to(self.device),
            )
        means = torch.stack([mean for mean, _ in rows], dim=1).cpu()
        scatters = torch.stack([scatter for _, scatter in rows], dim=1).cpu()
        return [Moments(n, means[i], scatters[i]) for i, n in enumerate(frames)]

    @contextmanager
    def _recorded(self, num_frames: Tensor) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Collect the moments of rows 0 to L-1 while the model runs, never its frames."""
        rows: list[tuple[Tensor, Tensor]] = []

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            rows.append(masked_moments(hidden, num_frames))

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            rows.append(masked_moments(output.last_hidden_state, num_frames))

        blocks = self.model.encoder.layers
        handles = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
        handles.append(self.model.encoder.register_forward_hook(after))
        try:
            yield rows
        finally:
            for handle in handles:
                handle.remove()


def normalised(waveform: np.ndarray, *, mean: float, variance: float, how: str) -> np.ndarray:
    """Return the waveform as the checkpoint's feature extractor would hand it over.

    `"zscore"`: (x - mean) / sqrt(variance + 1e-7) with the statistics of the whole clip, as
    Wav2Vec2FeatureExtractor does; `"none"`: as it is.
    """
    if how == "none":
        return waveform
    scaled: np.ndarray = ((waveform - mean) / np.sqrt(variance + 1e-7)).astype(np.float32)
    return scaled


def open_encoder(spelling: str, *, compute_dtype: str, device: str) -> SpeechEncoder:
    """Load an encoder from a folder or the hub.

    Args:
        spelling: A local folder, or `hub/id@revision`.
        compute_dtype: Key of `COMPUTE_DTYPES`.
        device: A torch device, e.g. `"cpu"` or `"cuda:0"`.

    Raises:
        EncoderError: If it cannot be loaded whole, or does not run on the device.
    """
    if compute_dtype not in COMPUTE_DTYPES:
        raise EncoderError(
            f"extract.compute_dtype: {compute_dtype!r} is not one of {sorted(COMPUTE_DTYPES)}."
        )
    folder = Path(spelling)
    checkpoint = load_checkpoint(spelling, is_folder=folder.is_dir())
    return SpeechEncoder(checkpoint, compute_dtype=compute_dtype, device=device)
