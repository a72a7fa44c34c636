"""The contract between encoders and the commands that extract with them.

An encoder makes L layers of width D from a waveform, as moments over its frames and, of the layers
asked for, the frames themselves; a codec makes codes of Q codebooks instead. And it says what about
it changes a number. Recipes, decoding, batches and windows know nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from pipeline.encoders.pooling import POOLINGS, Moments
from pipeline.errors import EncoderError

COMPUTE_DTYPES = ("float32", "bfloat16", "float16")

# The layers of every transformer; `pipeline.encoders.hubert` says which is which.
BLOCK_ROWS = "input, block outputs, normalised last output"


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is known of an encoder before its weights are read.

    Attributes:
        num_layers: L, how many layers there are; of a codec Q, how many codebooks.
        dim: D, width of one layer before pooling; of a codec, of the vectors of its codebooks.
        poolings: Values of `extract.pooling` that make sense for it.
        compute_dtypes: Values of `extract.compute_dtype` that it runs in.
        max_window_s: Seconds that it takes at once; None for any length.
        trained_window_s: Seconds that it is trained on and pads each clip to, unless
            `extract.window_s` says fewer; None of what pads clips to no window, and of what other
            packages add.
        frames_per_s: How many frames a second of audio makes; None if it gives no frames.
        num_codes: K, how many codes each codebook has; None if it gives no codes. What gives codes
            gives neither layers nor frames.
    """

    num_layers: int
    dim: int
    poolings: tuple[str, ...] = POOLINGS
    compute_dtypes: tuple[str, ...] = COMPUTE_DTYPES
    max_window_s: float | None = None
    trained_window_s: float | None = None
    frames_per_s: float | None = None
    num_codes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What an encoder makes of one waveform.

    Attributes:
        moments: Of every layer over all frames; None of a codec.
        frames: The frames of the R layers asked for, shape (T, R, D), float32, on the CPU; None if
            none were.
        codes: Of all Q codebooks, shape (T, Q), int64, on the CPU; None if it gives none.
    """

    moments: Moments | None = None
    frames: Tensor | None = None
    codes: Tensor | None = None


class Encoder(ABC):
    """A frozen encoder that turns waveforms into moments over time, and into frames.

    Attributes:
        outline: Its shape, and the settings that it takes.
        identity: What tells it from another encoder, plain JSON values for the recipe.
        layer_convention: What its layers are, in words that the recipe keeps.
        sample_rate: Hertz of the waveforms that it wants.
        normalisation: Of the waveforms, a value of `normalised`'s `how`.
        min_samples: Fewer make no frame.
        padded_samples: What each waveform is padded to in a batch, if that is more than the
            longest one has.
        fit_ids: Store ids of the clips that it was fine-tuned on, sorted; none where it was not.
    """

    outline: Outline
    identity: Mapping[str, Any]
    layer_convention: str
    sample_rate: int
    normalisation: str = "none"
    min_samples: int
    padded_samples: int = 0
    fit_ids: Sequence[str] = ()

    @property
    def num_layers(self) -> int:
        """L, how many layers there are."""
        return self.outline.num_layers

    @property
    def dim(self) -> int:
        """D, width of one row."""
        return self.outline.dim

    @abstractmethod
    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return the moments of every layer over each waveform's own frames, and some frames.

        The moments are the same to the bit whichever frames are asked for. A codec returns its
        codes.

        Args:
            waveforms: Normalised mono samples at `sample_rate`, each at least `min_samples`.
            frames_of: The layers whose frames are wanted, ascending, each from 0 to L-1.

        Returns:
            One `Encoded` per waveform, its moments of shape (L, D) or its codes of shape (T, Q),
            on the CPU.

        Raises:
            EncoderError: If frames are asked for, and it gives none.
        """


class BlockEncoder(Encoder):
    """An encoder that is a transformer through transformers: what fine-tuning needs of one.

    Attributes:
        model: The model that `run` runs, in evaluation mode.
    """

    model: Any

    @property
    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """Its transformer blocks, first to last."""

    @abstractmethod
    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a waveform makes."""

    @abstractmethod
    def run(self, waveforms: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the last layer of waveforms as extraction has it; gradients pass.

        Args:
            waveforms: Normalised samples, shape (B, N), 0 beyond each length.
            lengths: Samples of each, B of them, each at least `min_samples`.

        Returns:
            Shape (B, T, D); a clip's own frames are its first `num_frames`, and what is in the
            batch beside it changes none of them.
        """


class OpenEncoder(Protocol):
    """How an encoder is loaded."""

    def __call__(self, spelling: str, *, compute_dtype: str, device: str) -> Encoder:
        """Return the encoder of a spelling, to run on a torch device in a compute dtype."""


@dataclass(frozen=True, kw_only=True)
class EncoderKind:
    """Encoders of one name, as another package adds them by the entry point `genser.encoders`.

    `extract.encoder` spells one of them `name` or `name:rest`; both functions get the whole.

    Attributes:
        outline: Returns what is known of an encoder without its weights.
        open: Loads it.
    """

    outline: Callable[[str], Outline]
    open: OpenEncoder


def normalised(waveform: np.ndarray, *, mean: float, variance: float, how: str) -> np.ndarray:
    """Return the waveform as the encoder wants it.

    `"zscore"`: (x - mean) / sqrt(variance + 1e-7) with the statistics of the whole clip, as
    Wav2Vec2FeatureExtractor does; `"none"`: as it is.
    """
    if how == "none":
        return waveform
    scaled: np.ndarray = ((waveform - mean) / np.sqrt(variance + 1e-7)).astype(np.float32)
    return scaled


def require_allowed(spelling: str, name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a setting that an encoder cannot take.

    Raises:
        EncoderError: Naming the setting, its value and those allowed.
    """
    if value not in allowed:
        choices = " or ".join(repr(choice) for choice in allowed)
        raise EncoderError(
            f"extract.{name}: the encoder {spelling} takes {choices}, found {value!r}; "
            "mend one of them."
        )


def chosen_window(
    spelling: str, name: str, window_s: float | None, outline: Outline
) -> float | None:
    """Return the seconds that clips are padded to in place of what an encoder is trained on.

    Args:
        spelling: Of the encoder.
        name: Of the setting, below `extract`.
        window_s: Its value; None if it is not given.
        outline: Of the encoder.

    Returns:
        Whole frames, in seconds; None where nothing is given, or what the encoder is trained on.

    Raises:
        EncoderError: If the encoder has no window, or none like that.
    """
    if window_s is None:
        return None
    where = f"extract.{name}: the encoder {spelling}"
    longest, rate = outline.trained_window_s, outline.frames_per_s
    if longest is None or rate is None:
        raise EncoderError(
            f"{where} pads clips to no window, found one of {window_s} seconds; leave it out."
        )
    if window_s > longest:
        raise EncoderError(
            f"{where} is trained on windows of {longest:g} seconds, found {window_s}; set it to "
            f"{longest:g} or less, or leave it out."
        )
    num_frames = round(window_s * rate)
    if abs(window_s * rate - num_frames) > 1e-6:
        raise EncoderError(
            f"{where} has {rate:g} frames a second, found a window of {window_s} seconds, wanted "
            f"a multiple of {1 / rate:g}; set it to {num_frames / rate:g}."
        )
    return num_frames / rate if num_frames < longest * rate else None
