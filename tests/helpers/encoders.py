"""Small encoders: their checkpoints, opened and edited, and plain sums over their frames."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.encoders.loading import Checkpoint, load_checkpoint, read_encoder_config
from pipeline.encoders.whisper import WhisperEncoder
from pipeline.extraction.settings import ExtractConfig, ViewSettings


def view(**settings: Any) -> ViewSettings:
    """Return the settings of the view that these parameters make."""
    return ExtractConfig(**settings).view_settings()[0]


def hubert_at(folder: Path, compute_dtype: str = "float32") -> SpeechEncoder:
    encoder = open_encoder(str(folder), compute_dtype=compute_dtype, device="cpu")
    assert isinstance(encoder, SpeechEncoder)
    return encoder


def whisper_at(
    folder: Path, compute_dtype: str = "float32", window_s: float | None = None
) -> WhisperEncoder:
    found = open_encoder(str(folder), compute_dtype=compute_dtype, device="cpu", window_s=window_s)
    assert isinstance(found, WhisperEncoder)
    return found


def loaded(folder: Path) -> Checkpoint:
    config = read_encoder_config(str(folder), is_folder=True)
    return load_checkpoint(str(folder), config, is_folder=True)


def digest_of(folder: Path) -> str:
    return loaded(folder).weights_digest


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def naive_mean_and_deviation(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Of frames (T, D), one sum after the other in float64."""
    rows = [row.double() for row in frames]
    mean = torch.stack(rows).sum(0) / len(rows)
    squares = torch.stack([(row - mean) ** 2 for row in rows]).sum(0)
    return mean.float(), (squares / len(rows)).sqrt().float()
