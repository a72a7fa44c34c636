import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result

from helpers.encoding import encode_clip
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import is_at_hand, open_encoder, outline_of
from pipeline.encoders.filterbank import FilterbankEncoder, deltas
from pipeline.encoders.pooling import pool
from pipeline.errors import EncoderError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.encoding import (
    decode,
    make_recipe,
)
from pipeline.extraction.settings import ExtractConfig, ViewSettings
from pipeline.store.reader import FeatureStore
from stages.cli import main

MakeWav = Callable[..., Path]
LENGTHS = [400, 16000, 559, 560, 5000]


def view(**settings: Any) -> ViewSettings:
    """Return the settings of the view that these parameters make."""
    return ExtractConfig(**settings).view_settings()[0]


def genser(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(num_samples)
    tone = np.sin(2 * np.pi * 220 * np.arange(num_samples) / 16000)
    return (0.01 + 0.3 * tone + 0.05 * noise).astype(np.float32)


def mel(hertz: np.ndarray) -> np.ndarray:
    """Kaldi's scale."""
    return 1127 * np.log(1 + hertz / 700)


def naive_log_mel(samples: np.ndarray) -> np.ndarray:
    """Kaldi's compute-fbank-feats frame by frame, shape (T, 80)."""
    edges = np.linspace(mel(np.array(20.0)), mel(np.array(8000.0)), 82)
    places = mel(np.arange(257) * 16000 / 512)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400].astype(np.float64) * 32768
        frame = frame - frame.mean()
        before = np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.fft(window * (frame - 0.97 * before), 512)[:257]) ** 2
        row = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            rise, fall = (places - low) / (centre - low), (high - places) / (high - centre)
            row.append((np.clip(np.minimum(rise, fall), 0, None) * power).sum())
        rows.append(np.log(np.maximum(row, 2.0**-23)))
    return np.array(rows)


def naive_deltas(frames: np.ndarray) -> np.ndarray:
    """The regression of HTK, with the first and the last frame repeated."""
    rows = []
    for t in range(len(frames)):
        later = [frames[min(t + n, len(frames) - 1)] for n in (1, 2)]
        earlier = [frames[max(t - n, 0)] for n in (1, 2)]
        rows.append(sum(n * (later[n - 1] - earlier[n - 1]) for n in (1, 2)) / 10)
    return np.array(rows)


def naive_rows(samples: np.ndarray) -> np.ndarray:
    energies = naive_log_mel(samples)
    first = naive_deltas(energies)
    return np.stack([naive_deltas(first), first, energies])


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder("fbank", compute_dtype="float32", device="cpu")


@pytest.mark.parametrize("num_samples", LENGTHS)
def test_rows_are_delta_deltas_deltas_and_log_mel(encoder: Encoder, num_samples: int) -> None:
    samples = waveform(num_samples)
    wanted = naive_rows(samples)
    moments = encoder.encode([samples])[0].moments
    assert moments.num_frames == wanted.shape[1] == (num_samples - 400) // 160 + 1
    found = pool(moments, "mean_std").numpy()
    assert (encoder.num_layers, encoder.dim) == (3, 80)
    np.testing.assert_allclose(found[:, :80], wanted.mean(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 80:], wanted.std(1), rtol=1e-3, atol=1e-4)
    assert found[2, :80].mean() > 5
    assert np.abs(found[:2, :80]).max() < 3


@pytest.mark.parametrize("num_frames", [1, 2, 3, 10])
def test_deltas_of_few_frames_are_those_of_the_formula(num_frames: int) -> None:
    frames = np.random.default_rng(1).standard_normal((num_frames, 4))
    np.testing.assert_allclose(deltas(frames), naive_deltas(frames), rtol=1e-5, atol=1e-6)


def test_a_rising_line_has_its_slope_as_delta() -> None:
    frames = 0.5 * np.arange(20.0)[:, None]
    np.testing.assert_allclose(deltas(frames)[2:-2], 0.5, rtol=1e-6)


def test_a_louder_recording_moves_the_log_mel_alone(encoder: Encoder) -> None:
    quiet, loud = (
        pool(encoded.moments, "mean")
        for encoded in encoder.encode([waveform(8000), 2 * waveform(8000)])
    )
    torch.testing.assert_close(loud[:2], quiet[:2], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(loud[2], quiet[2] + 2 * np.log(2), rtol=1e-4, atol=1e-4)


def test_digital_silence_within_a_clip_gives_numbers(encoder: Encoder) -> None:
    samples = waveform(8000)
    samples[2000:6000] = 0
    moments = encoder.encode([samples])[0].moments
    assert torch.isfinite(pool(moments, "mean_std")).all()


def test_a_clip_does_not_see_its_neighbours(encoder: Encoder) -> None:
    clips = [waveform(length, seed) for seed, length in enumerate(LENGTHS)]
    for clip, encoded in zip(clips, encoder.encode(clips), strict=True):
        found = encoded.moments
        alone = encoder.encode([clip])[0].moments
        assert torch.equal(found.mean, alone.mean)
        assert torch.equal(found.scatter, alone.scatter)


@pytest.mark.parametrize(("num_samples", "outcome"), [(399, "too_short"), (400, None)])
def test_400_samples_are_a_frame_and_399_are_an_outcome(
    encoder: Encoder, tmp_path: Path, num_samples: int, outcome: str | None
) -> None:
    soundfile.write(tmp_path / "a.wav", waveform(num_samples), 16000)
    error = decode(Segment(path=tmp_path / "a.wav"), encoder, 30.0).error
    assert (error and error.outcome) == outcome


def test_a_long_clip_is_the_mean_over_the_frames_of_its_windows(
    encoder: Encoder, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", waveform(40000), 16000, subtype="FLOAT")
    config = view(encoder="fbank", max_duration_s=1, stored_dtype="float32")
    found = encode_clip(Segment(path=tmp_path / "a.wav"), encoder, config, batch_seconds=9)
    parts = np.split(waveform(40000), [13333, 26666])
    wanted = np.concatenate([naive_rows(part) for part in parts], axis=1).mean(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_other_number_types_are_refused_in_one_line(encoder: Encoder) -> None:
    wanted = r"compute_dtype: the encoder fbank takes 'float32', found 'bfloat16'; mend"
    with pytest.raises(EncoderError, match=wanted) as caught:
        open_encoder("fbank", compute_dtype="bfloat16", device="cpu")
    with pytest.raises(EncoderError, match=wanted):
        check_settings(encoder.outline, view(encoder="fbank", compute_dtype="bfloat16"))
    assert "\n" not in str(caught.value)


def test_the_recipe_says_how_the_numbers_are_made(encoder: Encoder) -> None:
    recipe = make_recipe(encoder, view(encoder="fbank"))
    assert recipe["layer_convention"] == "delta-deltas, deltas, log-mel"
    assert recipe["normalisation"] == "none"
    assert recipe["encoder"]["family"] == "fbank"
    assert recipe["encoder"]["flags"]["bands"] == 80
    assert json.loads(json.dumps(dict(recipe))) == recipe
    assert make_recipe(FilterbankEncoder(), view()) == recipe


def test_its_outline_needs_nothing() -> None:
    assert is_at_hand("fbank")
    assert (outline_of("fbank").num_layers, outline_of("fbank").dim) == (3, 80)


@pytest.fixture
def spoken(tmp_path: Path, make_wav: MakeWav) -> Path:
    """A manifest of 24 clips, two emotions that differ in loudness, six speakers."""
    rows = []
    for i in range(24):
        speaker, emotion = i // 4, ("angry", "sad")[i % 2]
        path = make_wav(tmp_path / "audio" / f"{i}.wav", 0.5, seed=i)
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples * (1.0 if emotion == "angry" else 0.1), rate)
        rows.append(
            {
                "utterance_id": f"u{i}",
                "path": path.name,
                "corpus": "small",
                "speaker": f"s{speaker}",
                "split": ("train", "train", "train", "dev", "test", "test")[speaker],
                "emotion": emotion,
            }
        )
    pd.DataFrame(rows).to_csv(tmp_path / "small.csv", index=False)
    return tmp_path / "small.csv"


@pytest.mark.parametrize("head", ["logreg", "genser"])
def test_the_whole_way_from_recordings_to_predictions(
    tmp_path: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "extract: {encoder: fbank, pooling: mean_std}\n"
        f"train: {{head: {head}, num_steps: 20, eval_every: 10, batch_size: 8,"
        " genser: {trunk: {width: 16, num_blocks: 1, num_heads: 2}}}\n"
    )
    audio = ["--audio-root", tmp_path / "audio", "--store", tmp_path / "store"]
    planned = genser("extract", spoken, *audio, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "24 clips to extract" in planned.output
    assert "1.4 kB a clip" in planned.output
    assert not (tmp_path / "store").exists()
    assert "24 ok" in genser("extract", spoken, *audio).output
    store = FeatureStore.open(tmp_path / "store")
    assert store.view("layers").read(["u0", "u5"]).shape == (2, 3, 160)
    assert "encoder.family fbank" in genser("inspect", tmp_path / "store").output
    assert "3 layers of 160" in genser("inspect", tmp_path / "params.yaml").output
    steps = [
        ("train", spoken, "--store", tmp_path / "store", "--task", "emotion", "--out", "head"),
        ("score", spoken, "--store", tmp_path / "store", "--head", "head", "--out", "p.parquet"),
        ("predict", tmp_path / "audio" / "20.wav", "--head", "head", "--json"),
    ]
    for words in steps:
        done = genser(*words)
        assert done.exit_code == 0, done.output
    if head == "logreg":
        facts = json.loads(genser("inspect", tmp_path / "p.parquet", "--json").output)
        assert facts["rows"] == 24
        assert json.loads(done.output)[0]["predicted"] == "angry"
