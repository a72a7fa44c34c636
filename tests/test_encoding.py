"""From a clip to its features: windows, batches, and what is stored of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.encoders import hubert_at, view
from helpers.encoding import encode_clip
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoded, Outline
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.encoders.pooling import Moments
from pipeline.errors import AudioError
from pipeline.extraction.cost import bytes_per_clip
from pipeline.extraction.encoding import (
    _batches,
    decode,
    encode_all,
    stored,
)

RATE = 16000

MakeWav = Callable[..., Path]


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> SpeechEncoder:
    return hubert_at(tiny_encoder_folder)


def naive_features(encoder: SpeechEncoder, samples: np.ndarray, windows: list[int]) -> np.ndarray:
    """Means over all frames of windows, from transformers' own hidden states."""
    wide = samples.astype(np.float64)
    samples = ((wide - wide.mean()) / np.sqrt(wide.var() + 1e-7)).astype(np.float32)
    frames = []
    for window in np.split(samples, np.cumsum(windows)[:-1]):
        encoder.model.feature_extractor.lengths = [len(window)]
        encoder.model.encoder.pos_conv_embed.lengths = [encoder.num_frames(len(window))]
        with torch.inference_mode():
            output = encoder.model(torch.from_numpy(window)[None], output_hidden_states=True)
        states = [*output.hidden_states[:-1], output.last_hidden_state]
        frames.append(torch.cat(states).numpy())
    return np.concatenate(frames, axis=1).mean(axis=1, dtype=np.float64)


def features(encoder: SpeechEncoder, path: Path, **settings: object) -> np.ndarray:
    config = view(**{"stored_dtype": "float32", **settings})
    return encode_clip(Segment(path=path), encoder, config, batch_seconds=10.0)


def features_of(mean: float, scatter: float = 0.0, **settings: Any) -> np.ndarray:
    """Return what is stored of a clip of these moments in every number."""
    moments = Moments(2, torch.full((3, 4), mean), torch.full((3, 4), scatter))
    return stored(Encoded(moments=moments), view(**settings), ())


def test_a_clip_becomes_the_mean_of_its_frames(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path
) -> None:
    path = make_wav(tmp_path / "clip.wav", 1.3)
    samples, _ = soundfile.read(path, dtype="float32")
    found = features(encoder, path)
    assert (found.shape, found.dtype) == ((5, 64), np.float32)
    np.testing.assert_allclose(
        found, naive_features(encoder, samples, [len(samples)]), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rate", [RATE, 8000])
def test_a_long_clip_is_cut_into_equal_windows_and_averaged_over_all_frames(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path, rate: int
) -> None:
    path = make_wav(tmp_path / "clip.wav", 3.70025, rate=rate)
    segment = Segment(path=path)
    whole = decode(segment, encoder, 10.0).clip
    assert whole is not None
    assert whole.waveform is not None
    assert whole.num_resampled == 59204
    clip = decode(segment, encoder, 1.0).clip
    assert clip is not None
    assert clip.waveform is None
    found = next(encode_all([segment], [clip], encoder, max_duration_s=1.0, batch_seconds=10.0))[
        1
    ].moments
    windows = [14801] * 4
    assert found.num_frames == sum((n - 400) // 320 + 1 for n in windows)
    wanted = naive_features(encoder, whole.waveform, windows)
    np.testing.assert_allclose(found.mean.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_windows_differ_by_a_sample_at_most(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    encode = encoder.encode

    def watched(waveforms: list[np.ndarray], frames_of: Sequence[int]) -> list[Encoded]:
        lengths.extend(len(waveform) for waveform in waveforms)
        return encode(waveforms, frames_of)

    monkeypatch.setattr(encoder, "encode", watched)
    features(encoder, make_wav(tmp_path / "clip.wav", 3 + 1 / RATE), max_duration_s=1)
    assert sum(lengths) == 3 * RATE + 1
    assert sorted(lengths) == [12000, 12000, 12000, 12001]


def test_a_clip_of_just_the_greatest_length_is_not_cut(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path
) -> None:
    path = make_wav(tmp_path / "clip.wav", 2)
    np.testing.assert_array_equal(
        features(encoder, path, max_duration_s=2), features(encoder, path, max_duration_s=9)
    )


@pytest.mark.parametrize(("num_samples", "rate", "ok"), [(399, RATE, False), (400, RATE, True)])
def test_400_samples_are_a_frame_and_399_are_an_outcome(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path, num_samples: int, rate: int, ok: bool
) -> None:
    path = make_wav(tmp_path / "clip.wav", num_samples / rate, rate=rate)
    decoded = decode(Segment(path=path), encoder, 30.0)
    if ok:
        assert decoded.error is None
        assert np.isfinite(features(encoder, path)).all()
    else:
        assert decoded.clip is None
        assert decoded.error is not None
        assert decoded.error.outcome == "too_short"
        assert "399 samples at 16000 Hz are shorter than" in str(decoded.error)
        with pytest.raises(AudioError, match=r"receptive field \(400\); drop the row"):
            features(encoder, path)


def test_length_is_judged_at_the_encoders_rate(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path
) -> None:
    fast = make_wav(tmp_path / "fast.wav", 0.02, rate=48000)
    slow = make_wav(tmp_path / "slow.wav", 0.03, rate=8000)
    errors = [decode(Segment(path=path), encoder, 30.0).error for path in (fast, slow)]
    assert [error and error.outcome for error in errors] == ["too_short", None]


def test_what_cannot_be_decoded_is_returned_with_its_digest(
    encoder: SpeechEncoder, tmp_path: Path
) -> None:
    (tmp_path / "clip.wav").write_bytes(b"no audio")
    bad = decode(Segment(path=tmp_path / "clip.wav"), encoder, 30.0)
    none = decode(Segment(path=tmp_path / "none.wav"), encoder, 30.0)
    assert bad.error is not None
    assert (bad.error.outcome, len(bad.file_digest)) == ("decode_error", 64)
    assert none.error is not None
    assert (none.error.outcome, none.file_digest) == ("missing", "")


def test_features_do_not_depend_on_the_batches_and_keep_the_order(
    encoder: SpeechEncoder, make_wav: MakeWav, tmp_path: Path
) -> None:
    lengths = [0.3, 2.1, 0.025, 0.9, 1.4]
    segments = [Segment(path=make_wav(tmp_path / f"{s}.wav", s)) for s in lengths]
    clips = [decode(segment, encoder, 2.0).clip for segment in segments]
    whole = [clip for clip in clips if clip is not None]
    alone, together = (
        dict(encode_all(segments, whole, encoder, max_duration_s=2.0, batch_seconds=s))
        for s in (0.1, 60.0)
    )
    assert sorted(alone) == sorted(together) == list(range(len(segments)))
    for i, clip in enumerate(whole):
        a, b = alone[i].moments, together[i].moments
        if clip.waveform is not None:
            assert a.num_frames == (clip.num_resampled - 400) // 320 + 1
        assert a.num_frames == b.num_frames
        torch.testing.assert_close(a.mean, b.mean, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 1000), max_size=30), limit=st.integers(1, 4000))
def test_batches_hold_every_item_once_and_stay_below_the_limit(
    lengths: list[int], limit: int
) -> None:
    lengths.sort(reverse=True)
    batches = list(_batches(range(len(lengths)), lengths, limit))
    assert [item for batch in batches for item in batch] == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[item] for item in batch)
        assert padded <= limit or len(batch) == 1


@pytest.mark.parametrize("mean", [70000.0, -70000.0])
def test_a_feature_that_float16_cannot_hold_is_an_outcome(mean: float) -> None:
    with pytest.raises(AudioError, match=r"a feature of 70000 does not fit float16") as caught:
        features_of(mean, stored_dtype="float16")
    assert caught.value.outcome == "nonfinite"
    assert features_of(mean, stored_dtype="float32")[0, 0] == mean


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("compute_dtype", "cure"), [("float32", "drop the row"), ("bfloat16", "use a wider compute")]
)
def test_features_that_are_no_numbers_are_an_outcome(
    bad: float, compute_dtype: str, cure: str
) -> None:
    with pytest.raises(AudioError, match=f"the encoder gave NaN or infinity; {cure}") as caught:
        features_of(bad, compute_dtype=compute_dtype, stored_dtype="float32")
    assert caught.value.outcome == "nonfinite"


def test_means_and_deviations_lie_side_by_side() -> None:
    found = features_of(1.5, scatter=8.0, pooling="mean_std")
    assert (found.shape, found.dtype) == ((3, 8), np.float16)
    assert found[:, :4].tolist() == [[1.5] * 4] * 3
    assert found[:, 4:].tolist() == [[2.0] * 4] * 3


@pytest.mark.parametrize(("pooling", "width"), [("mean", 64), ("mean_std", 128)])
def test_the_disk_of_a_clip_is_that_of_its_features(pooling: str, width: int) -> None:
    for dtype, size in (("float16", 2), ("float32", 4)):
        config = view(pooling=pooling, stored_dtype=dtype)
        assert bytes_per_clip(Outline(num_layers=5, dim=64), config) - 5 * width * size == 400
