"""The encoder of Whisper: its layers over the frames of a clip, and its recipe."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import Tensor
from transformers import WhisperFeatureExtractor, WhisperModel

from helpers.encoders import view, whisper_at
from helpers.encoding import encode_clip
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoded
from pipeline.encoders.catalogue import outline_of
from pipeline.encoders.pooling import pool
from pipeline.encoders.whisper import WhisperEncoder
from pipeline.errors import EncoderError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.encoding import (
    decode,
    encode_all,
    make_recipe,
)
from stages.cli import main

LENGTHS = [400, 16000, 5001, 480000]


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


@pytest.fixture(scope="module")
def encoder(whisper_folder: Path) -> WhisperEncoder:
    return whisper_at(whisper_folder)


def plain_rows(folder: Path, samples: np.ndarray) -> tuple[list[Tensor], int]:
    """transformers' own hidden states, and how many frames its masks leave."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    model = WhisperModel.from_pretrained(folder).eval()
    inputs = extractor(
        samples, sampling_rate=16000, return_tensors="pt", return_attention_mask=True
    )
    with torch.inference_mode():
        output = model.encoder(inputs["input_features"], output_hidden_states=True)
    count = int(model._get_feat_extract_output_lengths(inputs["attention_mask"].sum()))
    return [*output.hidden_states[:-1], output.last_hidden_state], count


@pytest.mark.parametrize("num_samples", LENGTHS)
def test_rows_are_the_layers_over_the_frames_of_the_clip(
    encoder: WhisperEncoder, whisper_folder: Path, num_samples: int
) -> None:
    wanted, count = plain_rows(whisper_folder, waveform(num_samples))
    moments = encoder.encode([waveform(num_samples)])[0].moments
    assert (encoder.num_layers, encoder.dim) == (len(wanted), 64) == (5, 64)
    assert moments.num_frames == count
    for k, frames in enumerate(wanted):
        own = frames[0, :count].double()
        both = pool(moments, "mean_std")[k].double()
        torch.testing.assert_close(both[:64], own.mean(0), rtol=1e-4, atol=1e-5)
        deviation = own.var(0, correction=0).sqrt()
        torch.testing.assert_close(both[64:], deviation, rtol=1e-3, atol=1e-4)


def test_row_0_is_after_the_convolutions_and_the_last_after_the_norm(
    encoder: WhisperEncoder, whisper_folder: Path
) -> None:
    rows, _ = plain_rows(whisper_folder, waveform(16000))
    model = encoder.model
    mel = encoder.preprocessor(waveform(16000), sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        hidden = torch.nn.functional.gelu(model.conv1(mel["input_features"]))
        hidden = torch.nn.functional.gelu(model.conv2(hidden)).transpose(1, 2)
        first = hidden + model.embed_positions.weight
        last = first
        for block in model.layers:
            last = block(last, None)
        normed = model.layer_norm(last)
    torch.testing.assert_close(rows[0], first)
    torch.testing.assert_close(rows[-1], normed)
    assert not torch.allclose(rows[-1], last, atol=1e-2)


@pytest.mark.parametrize("num_samples", [400, 401, 480, 481, 640, 641, 15999, 16000, 480000])
def test_frames_are_counted_as_transformers_masks_them(
    encoder: WhisperEncoder, whisper_folder: Path, num_samples: int
) -> None:
    inputs = encoder.preprocessor(
        waveform(num_samples), sampling_rate=16000, return_attention_mask=True
    )
    valid = torch.tensor(int(inputs["attention_mask"].sum()))
    wanted = int(encoder.model._get_feat_extract_output_lengths(valid))
    assert encoder.num_frames(num_samples) == wanted == -(-num_samples // 320)


def test_a_clip_does_not_see_its_neighbours(encoder: WhisperEncoder) -> None:
    clips = [waveform(length, seed) for seed, length in enumerate(LENGTHS)]
    for clip, encoded in zip(clips, encoder.encode(clips), strict=True):
        found = encoded.moments
        alone = encoder.encode([clip])[0].moments
        assert found.num_frames == alone.num_frames
        # Other sizes of product round otherwise, a few units in the last place.
        torch.testing.assert_close(found.mean, alone.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.scatter, alone.scatter, rtol=1e-3, atol=1e-3)


def test_padding_is_not_pooled(encoder: WhisperEncoder) -> None:
    num_frames = encoder.encode([waveform(16000)])[0].moments.num_frames
    padded = encoder.encode([np.pad(waveform(16000), (0, 160000))])[0].moments
    assert (num_frames, padded.num_frames) == (50, 550)


def test_bfloat16_is_near_float32(whisper_folder: Path, encoder: WhisperEncoder) -> None:
    wide = encoder.encode([waveform(16000)])[0].moments.mean
    narrow = whisper_at(whisper_folder, "bfloat16").encode([waveform(16000)])[0].moments.mean
    assert narrow.dtype == torch.float32
    assert 0 < (narrow - wide).norm() / wide.norm() < 0.03


def test_float16_needs_a_gpu(whisper_folder: Path) -> None:
    with pytest.raises(EncoderError, match="'float16' needs a GPU"):
        whisper_at(whisper_folder, "float16")


@pytest.mark.parametrize(("num_samples", "outcome"), [(399, "too_short"), (400, None)])
def test_a_clip_below_one_window_is_too_short(
    encoder: WhisperEncoder, tmp_path: Path, num_samples: int, outcome: str | None
) -> None:
    soundfile.write(tmp_path / "a.wav", waveform(num_samples), 16000)
    error = decode(Segment(path=tmp_path / "a.wav"), encoder, 30.0).error
    assert (error and error.outcome) == outcome


def test_a_long_clip_is_cut_into_windows(
    encoder: WhisperEncoder, whisper_folder: Path, tmp_path: Path
) -> None:
    samples = waveform(50000)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    config = view(max_duration_s=2, stored_dtype="float32")
    found = encode_clip(Segment(path=tmp_path / "a.wav"), encoder, config, batch_seconds=9)
    parts = [plain_rows(whisper_folder, part) for part in np.split(samples, 2)]
    frames = torch.cat([torch.cat(rows)[:, :count] for rows, count in parts], dim=1)
    np.testing.assert_allclose(found, frames.mean(1).numpy(), rtol=1e-3, atol=1e-4)


def test_batches_are_measured_with_their_padding(
    encoder: WhisperEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    encode = encoder.encode

    def watched(waveforms: list[np.ndarray], frames_of: Sequence[int]) -> list[Encoded]:
        sizes.append(len(waveforms))
        return encode(waveforms, frames_of)

    monkeypatch.setattr(encoder, "encode", watched)
    for i in range(5):
        soundfile.write(tmp_path / f"{i}.wav", waveform(2000 + i, i), 16000)
    segments = [Segment(path=tmp_path / f"{i}.wav") for i in range(5)]
    clips = [decode(segment, encoder, 30.0).clip for segment in segments]
    whole = [clip for clip in clips if clip is not None]
    found = dict(encode_all(segments, whole, encoder, max_duration_s=30.0, batch_seconds=60))
    assert sizes == [2, 2, 1]
    assert [found[i].moments.num_frames for i in range(5)] == [7] * 5


def test_more_than_30_seconds_at_once_are_refused(
    encoder: WhisperEncoder, whisper_folder: Path
) -> None:
    config = view(encoder=str(whisper_folder), max_duration_s=31)
    with pytest.raises(EncoderError, match=r"max_duration_s: .* takes 30 seconds .* 31") as caught:
        check_settings(outline_of(str(whisper_folder)), config)
    assert "\n" not in str(caught.value)
    with pytest.raises(EncoderError, match="takes 480000 samples at once, found 480001"):
        encoder.encode([waveform(480001)])


def test_the_recipe_names_weights_configuration_and_preprocessor(encoder: WhisperEncoder) -> None:
    recipe = make_recipe(encoder, view())
    assert recipe["encoder"]["family"] == "whisper"
    assert recipe["encoder"]["flags"] == {
        "activation_function": "gelu",
        "d_model": 64,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 256,
        "encoder_layers": 4,
        "max_source_positions": 1500,
        "num_mel_bins": 80,
    }
    assert recipe["encoder"]["preprocessor"] == {
        "chunk_length": 30,
        "feature_size": 80,
        "hop_length": 160,
        "n_fft": 400,
        "padding_value": 0.0,
    }
    assert (recipe["normalisation"], recipe["sample_rate"]) == ("none", 16000)
    assert recipe["layer_convention"] == "input, block outputs, normalised last output"
    assert json.loads(json.dumps(dict(recipe))) == recipe


def test_the_command_makes_a_store_and_tells_its_cost(
    whisper_folder: Path, speech_folder: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "m.csv"
    rows = "".join(f"{name},{name}.wav,own,s\n" for name in "abc")
    manifest.write_text("utterance_id,path,corpus,speaker\n" + rows)
    words = ["-S", f"extract.encoder={whisper_folder}", "extract", str(manifest)]
    words += ["--audio-root", str(speech_folder), "--store", str(tmp_path / "store")]
    planned = CliRunner().invoke(main, [*words, "--dry-run"])
    assert "3 clips to extract" in planned.output
    assert "1.0 kB a clip" in planned.output
    done = CliRunner().invoke(main, words)
    assert "3 ok" in done.output, done.output
