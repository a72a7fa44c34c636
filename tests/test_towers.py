"""The encoders inside Qwen2-Audio and Voxtral, with small models of the same classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from helpers.encoders import edit_json
from pipeline.encoders.catalogue import open_encoder, outline_of
from pipeline.encoders.pooling import pool
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError
from pipeline.finetuning.config import FinetuneConfig
from pipeline.finetuning.cost import reckon
from pipeline.finetuning.tuning import open_tunable

FAMILIES = ("qwen2_audio", "voxtral")


def waveform(num_samples: int) -> np.ndarray:
    generator = np.random.default_rng(num_samples)
    return 0.1 * generator.standard_normal(num_samples).astype(np.float32)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    save_seeded_encoder(path, family=request.param)
    return path


def opened(folder: Path) -> Any:
    return open_encoder(str(folder), compute_dtype="float32", device="cpu")


def test_rows_are_those_of_the_whole_model_s_own_encoder(folder: Path) -> None:
    encoder = opened(folder)
    tower = AutoModel.from_pretrained(folder).eval().audio_tower
    mel = encoder.preprocessor(waveform(16000), sampling_rate=16000, return_tensors="pt")
    rows: list[torch.Tensor] = []
    for block in tower.layers:
        block.register_forward_pre_hook(lambda _, args: rows.append(args[0]))
    final = []
    tower.layers[-1].register_forward_hook(lambda *told: final.append(told[2]))
    with torch.inference_mode():
        output = tower(mel["input_features"]).last_hidden_state
        last = final[0][0] if isinstance(final[0], tuple) else final[0]
        rows.append(tower.layer_norm(last))
    moments = encoder.encode([waveform(16000)])[0].moments
    assert moments.num_frames == 50
    assert encoder.num_layers == len(rows) == 5
    for k, frames in enumerate(rows):
        found = pool(moments, "mean")[k]
        torch.testing.assert_close(found, frames[0, :50].mean(0), rtol=1e-4, atol=1e-5)
    # Only Qwen2-Audio goes on to average pairs of frames, which here is not done.
    assert output.shape[1] == {"qwen2_audio": 750, "voxtral": 1500}[encoder.identity["family"]]


def test_a_clip_does_not_see_its_neighbours(folder: Path) -> None:
    encoder = opened(folder)
    clips = [waveform(length) for length in (400, 16000, 5001)]
    for clip, together in zip(clips, encoder.encode(clips, [0, 4]), strict=True):
        alone = encoder.encode([clip], [0, 4])[0]
        torch.testing.assert_close(together.moments.mean, alone.moments.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.frames, alone.frames, rtol=1e-4, atol=1e-5)


def test_a_weight_that_is_missing_is_refused_and_the_language_model_s_is_not(
    folder: Path, tmp_path: Path
) -> None:
    weights = load_file(folder / "model.safetensors")
    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    heard = {name: tensor for name, tensor in weights.items() if "audio_tower." in name}
    assert len(heard) < len(weights)
    save_file(heard, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert opened(tmp_path).identity == opened(folder).identity
    del heard["audio_tower.conv1.weight"]
    save_file(heard, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks 1 weights of its model, .*conv1\.weight"):
        opened(tmp_path)


def test_outline_and_preprocessor_are_held_to_the_encoder(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    outline = outline_of(str(folder))
    assert (outline.num_layers, outline.dim, outline.frames_per_s) == (5, 64, 50)
    assert outline.max_window_s == 30
    edit_json(tmp_path / "preprocessor_config.json", feature_size=80)
    with pytest.raises(EncoderError, match="says feature_size 80, wanted 128"):
        opened(tmp_path)


def test_it_is_not_fine_tuned(folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"finetune\.encoder: .* cannot be fine-tuned"):
        open_tunable(str(folder), device="cpu")
    with pytest.raises(EncoderError, match=r"finetune\.encoder: .* cannot be fine-tuned"):
        reckon(FinetuneConfig(encoder=str(folder)), 2)
