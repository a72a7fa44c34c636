"""Which checkpoints of Whisper are taken, which are refused, and what their digest is of."""

import io
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import WhisperForConditionalGeneration, WhisperModel

from helpers.encoders import (
    edit_json,
    edit_weights,
    whisper_at,
)
from pipeline.errors import EncoderError


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


@pytest.fixture
def folder(whisper_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(whisper_folder, tmp_path / "encoder"))


def digest_of(folder: Path) -> str:
    return str(whisper_at(folder).identity["weights"])


def test_the_digest_is_of_the_encoder_alone(folder: Path) -> None:
    before = digest_of(folder)
    edit_weights(folder, lambda weights: weights["decoder.layer_norm.bias"].add_(1))
    assert digest_of(folder) == before
    edit_weights(folder, lambda weights: weights["encoder.layer_norm.bias"][3].add_(1e-6))
    assert digest_of(folder) != before


def test_a_checkpoint_of_the_whole_recogniser_is_the_same_encoder(
    folder: Path,
) -> None:
    """As openai's checkpoints are: every name begins with `model.`."""
    before, samples = whisper_at(folder), waveform(8000)
    whole = WhisperForConditionalGeneration.from_pretrained(folder)
    whole.model.load_state_dict(WhisperModel.from_pretrained(folder).state_dict())
    whole.save_pretrained(folder)
    assert any(k.startswith("model.encoder.") for k in load_file(folder / "model.safetensors"))
    said = logging.StreamHandler(stream := io.StringIO())
    logging.getLogger("transformers").addHandler(said)
    after = whisper_at(folder)
    logging.getLogger("transformers").removeHandler(said)
    assert stream.getvalue() == ""
    assert after.identity == before.identity
    assert torch.equal(
        after.encode([samples])[0].moments.mean, before.encode([samples])[0].moments.mean
    )


def test_a_checkpoint_without_a_decoder_will_do(folder: Path) -> None:
    def drop(weights: dict[str, Tensor]) -> None:
        for name in [name for name in weights if name.startswith("decoder.")]:
            del weights[name]

    before = digest_of(folder)
    edit_weights(folder, drop)
    assert digest_of(folder) == before


def test_a_missing_weight_of_the_encoder_is_refused_by_name(folder: Path) -> None:
    name = "encoder.layers.1.self_attn.k_proj.weight"
    edit_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(EncoderError, match=rf"lacks 1 weights of its model, the first '{name}'"):
        whisper_at(folder)


def test_code_that_a_checkpoint_brings_is_not_run(folder: Path, tmp_path: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoConfig": "own.C", "AutoModel": "own.M"})
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    whisper_at(folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chunk_length": 10}, "says chunk_length 10, wanted 30; take both files from one"),
        ({"feature_size": 128}, "says feature_size 128, wanted 80"),
        ({"dither": 0.1}, r"says dither 0\.1, wanted 0"),
        ({"hop_length": 320}, "says frames per window 1500, wanted 3000"),
        ({"hop_length": 0}, "cannot be loaded"),
        ({"n_fft": 10**13}, "cannot be loaded"),
        ({"sampling_rate": [1]}, "cannot be loaded"),
        ({"dither": "x"}, "dither: found 'x', wanted a number"),
        ({"padding_side": "x"}, "says padding_side x, wanted right"),
    ],
)
def test_a_preprocessor_of_another_model_is_refused(
    folder: Path, values: dict[str, object], message: str
) -> None:
    edit_json(folder / "preprocessor_config.json", **values)
    with pytest.raises(EncoderError, match=message) as caught:
        whisper_at(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused_in_one_line(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=r"cannot be loaded .*; name a folder with") as caught:
        whisper_at(folder)
    assert "\n" not in str(caught.value)
