"""What is read of a checkpoint's `preprocessor_config.json`, and held to what can be."""

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar, cast

from pipeline.encoders.hub import ENCODER
from pipeline.errors import EncoderError
from pipeline.typed import typed

FILE = "preprocessor_config.json"
RATES = (1_000, 192_000)  # Hz: nobody trains an encoder of speech outside
CURE = "take the file of the checkpoint itself"

Kind = TypeVar("Kind", bound="Preprocessor")


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """Of an encoder of raw waveforms, and the beginning of every other."""

    sampling_rate: int  # Hz

    def __post_init__(self) -> None:
        low, high = RATES
        if not low <= self.sampling_rate <= high:
            raise EncoderError(
                f"{ENCODER}: {FILE} says sampling_rate {self.sampling_rate}, wanted {low} to "
                f"{high} Hz; {CURE}."
            )


@dataclass(frozen=True, kw_only=True)
class WaveformPreprocessor(Preprocessor):
    """Of an encoder of raw waveforms."""

    do_normalize: bool


@dataclass(frozen=True, kw_only=True)
class WhisperPreprocessor(Preprocessor):
    """Of a Whisper."""

    chunk_length: int  # seconds
    feature_size: int  # mel bands
    hop_length: int  # samples
    n_fft: int  # samples
    n_samples: int
    dither: float
    padding_value: float
    padding_side: str

    def __post_init__(self) -> None:
        super().__post_init__()
        low = {name: v for name, v in asdict(self).items() if isinstance(v, int) and v < 1}
        if low:
            name = next(iter(low))
            raise EncoderError(
                f"{ENCODER}: {FILE} says {name} {low[name]}, which cannot be; {CURE}."
            )


def read_preprocessor(kind: type[Kind], spelling: str, found: Any) -> Kind:
    """Return what is read of a preprocessor that transformers has loaded.

    Raises:
        EncoderError: If a value of its file is of another type, or out of range.
    """
    values = {f.name: getattr(found, f.name, None) for f in fields(cast(Any, kind))}
    return typed(kind, values, f"{ENCODER}: {spelling}: {FILE}", error=EncoderError, cure=CURE)
