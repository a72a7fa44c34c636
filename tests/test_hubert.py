"""The encoders of the HuBERT kind: their layers over the frames of a clip."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Wav2Vec2FeatureExtractor

from helpers.encoders import edit_json, hubert_at, loaded, naive_mean_and_deviation
from pipeline.encoders.base import normalised
from pipeline.encoders.pooling import pool
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError

# Every family, and both kinds of front end where the family has them.
KINDS = [
    ("hubert", True),
    ("hubert", False),
    ("wavlm", True),
    ("wavlm", False),
    ("wav2vec2", True),
    ("wav2vec2", False),
    ("data2vec-audio", True),
    ("unispeech", True),
    ("unispeech", False),
    ("unispeech-sat", True),
    ("unispeech-sat", False),
]
LENGTHS = [400, 16000, 719, 5000, 16000]  # samples: one frame, a second, one frame, unlike others

MakeFolder = Callable[[str, bool], Path]


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


def naive_num_frames(num_samples: int) -> int:
    return (num_samples - 400) // 320 + 1


def relative_error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    made: dict[tuple[str, bool], Path] = {}

    def folder(family: str, layer_norm_front: bool) -> Path:
        key = (family, layer_norm_front)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("encoder")
            save_seeded_encoder(made[key], family=family, layer_norm_front=layer_norm_front)
        return made[key]

    return folder


def plain_hidden_states(folder: Path, samples: np.ndarray) -> list[Tensor]:
    """What transformers itself gives: rows 0 to L-2 of hidden_states, then last_hidden_state."""
    model = loaded(folder).model.eval()
    with torch.inference_mode():
        output = model(torch.from_numpy(samples)[None], output_hidden_states=True)
    return [*(states[0] for states in output.hidden_states[:-1]), output.last_hidden_state[0]]


@pytest.mark.parametrize(("family", "front"), KINDS)
def test_rows_are_the_layers_that_the_table_says(
    folder_of: MakeFolder, family: str, front: bool
) -> None:
    samples = waveform(9000)
    wanted = plain_hidden_states(folder_of(family, front), samples)
    encoder = hubert_at(folder_of(family, front))
    moments = encoder.encode([samples])[0].moments
    assert encoder.num_layers == len(wanted) == 5
    assert encoder.dim == 64
    assert moments.num_frames == len(wanted[0]) == naive_num_frames(9000)
    for k, frames in enumerate(wanted):
        mean, deviation = naive_mean_and_deviation(frames)
        both = pool(moments, "mean_std")[k]
        torch.testing.assert_close(pool(moments, "mean")[k], mean, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(both[:64], mean, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(both[64:], deviation, rtol=1e-4, atol=1e-6)


def test_the_last_row_is_normalised_and_the_one_before_is_not(folder_of: MakeFolder) -> None:
    wanted = plain_hidden_states(folder_of("hubert", True), waveform(9000))
    deviations = [float(frames.std(dim=1).mean()) for frames in wanted]
    assert deviations[-1] == pytest.approx(1, rel=0.05)
    assert abs(deviations[-2] - 1) > 0.1


@pytest.mark.parametrize(("family", "front"), KINDS)
def test_a_clip_does_not_see_its_neighbours(
    folder_of: MakeFolder, family: str, front: bool
) -> None:
    encoder = hubert_at(folder_of(family, front))
    clips = [waveform(length, seed) for seed, length in enumerate(LENGTHS)]
    batch = encoder.encode(clips)
    for clip, encoded in zip(clips, batch, strict=True):
        found = encoded.moments
        alone = encoder.encode([clip])[0].moments
        assert found.num_frames == alone.num_frames == naive_num_frames(len(clip))
        # Other sizes of product round otherwise, a few units in the last place.
        assert relative_error(found.mean, alone.mean) < 1e-5
        torch.testing.assert_close(found.scatter, alone.scatter, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("family", "front"), [("hubert", False), ("data2vec-audio", True)])
def test_without_the_per_clip_convolutions_the_neighbours_would_show(
    folder_of: MakeFolder, family: str, front: bool
) -> None:
    encoder = hubert_at(folder_of(family, front))
    clips = [waveform(3000), waveform(16000, 1)]
    alone = encoder.encode(clips[:1])[0].moments
    encoder.model.feature_extractor = encoder.model.feature_extractor.inner
    encoder.model.encoder.pos_conv_embed = encoder.model.encoder.pos_conv_embed.inner
    assert relative_error(encoder.encode(clips)[0].moments.mean, alone.mean) > 1e-3


def test_two_runs_give_the_same_bits(tiny_encoder_folder: Path) -> None:
    clips = [waveform(length) for length in LENGTHS]
    first, second = (
        [encoded.moments for encoded in hubert_at(tiny_encoder_folder).encode(clips)]
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.mean, b.mean)
        assert torch.equal(a.scatter, b.scatter)


def test_frames_are_counted_as_the_network_makes_them(tiny_encoder_folder: Path) -> None:
    encoder = hubert_at(tiny_encoder_folder)
    assert encoder.min_samples == 400
    for length in (400, 401, 719, 720, 721, 1039, 1040, 16000):
        assert encoder.num_frames(length) == naive_num_frames(length)
        found = plain_hidden_states(tiny_encoder_folder, waveform(length))
        assert encoder.num_frames(length) == len(found[0])
    assert [encoder.num_frames(n) for n in (0, 1, 9, 10, 100, 399)] == [0] * 6
    assert (encoder.num_frames(16000), encoder.num_frames(160000)) == (49, 499)


@pytest.mark.parametrize("do_normalize", [True, False])
def test_normalisation_is_that_of_the_feature_extractor(
    tiny_encoder_folder: Path, tmp_path: Path, do_normalize: bool
) -> None:
    folder = Path(shutil.copytree(tiny_encoder_folder, tmp_path / "encoder"))
    edit_json(folder / "preprocessor_config.json", do_normalize=do_normalize)
    samples = 0.02 * waveform(5000) + 0.3
    wanted = Wav2Vec2FeatureExtractor.from_pretrained(folder)(samples, sampling_rate=16000)
    wide = samples.astype(np.float64)
    how = loaded(folder).normalisation
    found = normalised(samples, mean=wide.mean(), variance=wide.var(), how=how)
    assert how == ("zscore" if do_normalize else "none")
    assert found.dtype == np.float32
    # The extractor sums in float32.
    np.testing.assert_allclose(found, wanted["input_values"][0], rtol=1e-4, atol=1e-4)


def test_bfloat16_is_near_float32(tiny_encoder_folder: Path) -> None:
    clips = [waveform(length) for length in LENGTHS]
    wide = hubert_at(tiny_encoder_folder).encode(clips)
    narrow = hubert_at(tiny_encoder_folder, "bfloat16").encode(clips)
    for a, b in zip([e.moments for e in narrow], [e.moments for e in wide], strict=True):
        assert a.mean.dtype == torch.float32
        assert 0 < relative_error(a.mean, b.mean) < 0.03


def test_float16_needs_a_gpu(tiny_encoder_folder: Path) -> None:
    with pytest.raises(EncoderError, match="'float16' needs a GPU, the device is 'cpu'; use"):
        hubert_at(tiny_encoder_folder, "float16")


def test_an_unknown_compute_dtype_is_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"compute_dtype: 'float8' is not one of \['bfloat16'"):
        hubert_at(tiny_encoder_folder, "float8")
