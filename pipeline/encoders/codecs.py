"""Neural codecs as encoders of codes: what EnCodec, DAC and SpeechTokenizer have in common.

A codec quantises each frame by residual codebooks: book 1 takes the nearest of its K vectors, book
q the nearest to what books 1 to q-1 left over (Zeghidour et al. 2021, SoundStream, section 3.3).
So the first n codes of a frame are those of a codec with n books, and the sum of their vectors is
its quantised latent.

Clips go through one by one: in a batch the padding would change the last frames of DAC, and all of
SpeechTokenizer, whose LSTM runs both ways.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, Outline
from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import fetched
from pipeline.errors import EncoderError
from pipeline.files import read_bytes
from pipeline.typed import typed_json

CONFIG = "config.json"
LARGEST = 1 << 16  # codes are stored as uint16


class CodecEncoder(Encoder):
    """A frozen codec, whose codes are kept and whose decoder is not used."""

    layer_convention = "codebooks, the coarsest first"

    @abstractmethod
    def codebooks(self) -> Tensor:
        """Return the vectors that codes stand for, float32, shape (Q, K, D), on the CPU.

        The vectors of a frame's first n codes sum up to the codec's latent quantised by n books.
        """

    @abstractmethod
    def codes(self, waveform: Tensor) -> Tensor:
        """Return the codes of all Q books of samples (N,), int64, shape (Q, T)."""

    @torch.inference_mode()
    def encode(
        self, waveforms: Sequence[np.ndarray], frames_of: Sequence[int] = ()
    ) -> list[Encoded]:
        """Return each waveform's codes; it is encoded alone.

        Raises:
            EncoderError: If frames are asked for.
        """
        if frames_of:
            raise EncoderError(
                f"{self.identity['family']} gives codes, found frames of layers {list(frames_of)} "
                "wanted; take them of another encoder."
            )
        codes = [self.codes(torch.from_numpy(waveform)) for waveform in waveforms]
        return [Encoded(codes=found.T.to("cpu", torch.int64).contiguous()) for found in codes]


def codec_outline(
    spelling: str, *, num_codebooks: int, num_codes: int, dim: int, rate: int, hop: int
) -> Outline:
    """Return what is known of a codec without its weights.

    Args:
        spelling: Value of `extract.encoder`.
        num_codebooks: Q.
        num_codes: K.
        dim: Width of the vectors of its codebooks.
        rate: Hertz of its waveforms.
        hop: Samples of a frame.

    Raises:
        EncoderError: If its codes cannot be stored.
    """
    if num_codebooks < 1 or not 1 <= num_codes <= LARGEST:
        raise EncoderError(
            f"extract.encoder: {spelling}: {CONFIG} says {num_codebooks} codebooks of {num_codes} "
            f"codes, wanted one or more of {LARGEST} at most; use another checkpoint."
        )
    return Outline(
        num_layers=num_codebooks,
        dim=dim,
        poolings=(),
        compute_dtypes=("float32",),  # in half precision another code is often the nearest
        frames_per_s=rate / hop,
        num_codes=num_codes,
    )


def whereabouts(spelling: str) -> tuple[str, bool]:
    """Return what follows the codec's name in a spelling, and whether it is a folder."""
    name = spelling.partition(":")[2]
    return name, is_local(name)


def read_codec_config(spelling: str, *, kind: str, stated: Sequence[str]) -> Any:
    """Return the transformers configuration of a codec.

    Args:
        spelling: Value of `extract.encoder`.
        kind: Its `model_type`.
        stated: What must stand in the file itself: the defaults of the class are those of some
            checkpoint, and would pass for this one's.

    Raises:
        EncoderError: If it is not to be had, of another model, or silent on what is needed.
    """
    from transformers import AutoConfig

    name, is_folder = whereabouts(spelling)
    config = fetched(AutoConfig, name, is_folder=is_folder, trust_remote_code=False)
    if config.model_type != kind:
        raise EncoderError(
            f"extract.encoder: {spelling} is a {config.model_type!r} model, wanted {kind!r}; "
            "spell it by its own kind."
        )
    require_stated(spelling, read_json(name, is_folder=is_folder), stated)
    return config


def require_stated(spelling: str, found: dict[str, Any], stated: Sequence[str]) -> None:
    """Refuse a configuration that leaves out what its codes depend on.

    Raises:
        EncoderError: Naming what is absent.
    """
    absent = [name for name in stated if found.get(name) is None]
    if absent:
        raise EncoderError(
            f"extract.encoder: {spelling}: {CONFIG} does not say {', '.join(absent)}; use the "
            "file of the checkpoint itself."
        )


def read_json(name: str, *, is_folder: bool, subfolder: str = "") -> dict[str, Any]:
    """Return the content of a checkpoint's `config.json`.

    Raises:
        EncoderError: If it is not to be had, or is no mapping.
    """
    found = fetched(_File, name, is_folder=is_folder, filename=CONFIG, subfolder=subfolder)
    where = f"extract.encoder: {found}"
    cure = "use the file of the checkpoint itself"
    return typed_json(dict[str, Any], read_bytes(found), where, error=EncoderError, cure=cure)


def tensors_of(
    name: str, filename: str, *, is_folder: bool, subfolder: str = ""
) -> dict[str, Tensor]:
    """Return the tensors of a pickled checkpoint, of which nothing but tensors is read.

    Raises:
        EncoderError: If it is not to be had, damaged, or holds more than tensors by name.
    """
    found = fetched(_Tensors, name, is_folder=is_folder, filename=filename, subfolder=subfolder)
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise EncoderError(
            f"extract.encoder: {name}: {filename} holds more than tensors by name; use the "
            "checkpoint as it was released."
        )
    return found


class _File:
    """One file of a folder or a hub repository, fetched as models are."""

    @staticmethod
    def from_pretrained(name: str, *, filename: str, subfolder: str, **options: Any) -> Path:
        from transformers.utils import cached_file

        found = cached_file(name, filename, subfolder=subfolder, **options)
        if found is None:
            raise OSError(f"{filename} is not there")
        return Path(found)


class _Tensors:
    """The content of a pickled file, fetched as models are."""

    @staticmethod
    def from_pretrained(name: str, **options: Any) -> Any:
        path = _File.from_pretrained(name, **options)
        return torch.load(path, map_location="cpu", weights_only=True)
