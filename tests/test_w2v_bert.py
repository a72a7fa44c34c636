"""w2v-BERT 2.0: its layers over the frames of a clip, and its recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, SeamlessM4TFeatureExtractor

from helpers.encoders import edit_json
from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder, outline_of
from pipeline.encoders.pooling import pool
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError

LENGTHS = [560, 16000, 719, 720, 880, 5001, 16159]  # one frame, odd and even counts of mel frames


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


def opened(folder: Path) -> Encoder:
    return open_encoder(str(folder), compute_dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("w2v-bert")
    save_seeded_encoder(path, family="wav2vec2-bert")
    return path


@pytest.mark.parametrize("num_samples", LENGTHS)
def test_rows_are_transformers_own_hidden_states_over_the_frames_of_the_clip(
    folder: Path, num_samples: int
) -> None:
    extractor = SeamlessM4TFeatureExtractor.from_pretrained(folder)
    inputs = extractor(waveform(num_samples), sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        output = AutoModel.from_pretrained(folder).eval()(**inputs, output_hidden_states=True)
    count = int(inputs["attention_mask"].sum())
    encoder = opened(folder)
    moments = encoder.encode([waveform(num_samples)])[0].moments
    assert moments is not None
    assert moments.num_frames == count
    assert encoder.num_layers == len(output.hidden_states) == 5
    for k, frames in enumerate(output.hidden_states):
        own = frames[0, :count]
        # Padded frames are nothing before block 1 here, and something in transformers' own list.
        torch.testing.assert_close(pool(moments, "mean")[k], own.mean(0), rtol=1e-4, atol=1e-5)


def test_a_clip_does_not_see_its_neighbours(folder: Path) -> None:
    encoder = opened(folder)
    clips = [waveform(length, seed) for seed, length in enumerate(LENGTHS)]
    batch = encoder.encode(clips, [2])
    for clip, together in zip(clips, batch, strict=True):
        alone = encoder.encode([clip], [2])[0]
        assert together.moments is not None
        assert alone.moments is not None
        assert together.frames is not None
        assert alone.frames is not None
        torch.testing.assert_close(together.moments.mean, alone.moments.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.frames, alone.frames, rtol=1e-4, atol=1e-5)


def test_its_outline_is_known_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "away")
    try:
        outline = outline_of(str(folder))
    finally:
        (folder / "away").rename(folder / "model.safetensors")
    assert (outline.num_layers, outline.dim, outline.frames_per_s) == (5, 64, 50)
    encoder = opened(folder)
    assert encoder.min_samples == 560
    assert len(encoder.encode([waveform(560)])) == 1


def test_a_preprocessor_of_another_model_is_refused(tmp_path: Path) -> None:
    save_seeded_encoder(tmp_path, family="wav2vec2-bert")
    edit_json(tmp_path / "preprocessor_config.json", num_mel_bins=40)
    with pytest.raises(EncoderError, match="says num_mel_bins x stride 80, wanted 160"):
        opened(tmp_path)
