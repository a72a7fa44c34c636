import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, Wav2Vec2FeatureExtractor

from pipeline.encoders.base import normalised
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.encoders.loading import (
    Checkpoint,
    load_checkpoint,
    read_encoder_config,
    tensors_digest,
)
from pipeline.encoders.pooling import Moments, combine, masked_moments, pool
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
]
LENGTHS = [400, 16000, 719, 5000, 16000]  # samples: one frame, a second, one frame, unlike others

MakeFolder = Callable[[str, bool], Path]


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


def naive_num_frames(num_samples: int) -> int:
    return (num_samples - 400) // 320 + 1


def naive_mean_and_deviation(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Of frames (T, D), one sum after the other in float64."""
    rows = [row.double() for row in frames]
    mean = torch.stack(rows).sum(0) / len(rows)
    squares = torch.stack([(row - mean) ** 2 for row in rows]).sum(0)
    return mean.float(), (squares / len(rows)).sqrt().float()


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


@pytest.fixture
def folder(tiny_encoder_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_encoder_folder, tmp_path / "encoder"))


def opened(folder: Path, compute_dtype: str = "float32") -> SpeechEncoder:
    encoder = open_encoder(str(folder), compute_dtype=compute_dtype, device="cpu")
    assert isinstance(encoder, SpeechEncoder)
    return encoder


def loaded(folder: Path) -> Checkpoint:
    config = read_encoder_config(str(folder), is_folder=True)
    return load_checkpoint(str(folder), config, is_folder=True)


def plain_hidden_states(folder: Path, samples: np.ndarray) -> list[Tensor]:
    """What transformers itself gives: rows 0 to L-2 of hidden_states, then last_hidden_state."""
    model = loaded(folder).model.eval()
    with torch.inference_mode():
        output = model(torch.from_numpy(samples)[None], output_hidden_states=True)
    return [*(states[0] for states in output.hidden_states[:-1]), output.last_hidden_state[0]]


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(("family", "front"), KINDS)
def test_rows_are_the_layers_that_the_table_says(
    folder_of: MakeFolder, family: str, front: bool
) -> None:
    samples = waveform(9000)
    wanted = plain_hidden_states(folder_of(family, front), samples)
    encoder = opened(folder_of(family, front))
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
    encoder = opened(folder_of(family, front))
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
    encoder = opened(folder_of(family, front))
    clips = [waveform(3000), waveform(16000, 1)]
    alone = encoder.encode(clips[:1])[0].moments
    encoder.model.feature_extractor = encoder.model.feature_extractor.inner
    encoder.model.encoder.pos_conv_embed = encoder.model.encoder.pos_conv_embed.inner
    assert relative_error(encoder.encode(clips)[0].moments.mean, alone.mean) > 1e-3


def test_two_runs_give_the_same_bits(tiny_encoder_folder: Path) -> None:
    clips = [waveform(length) for length in LENGTHS]
    first, second = (
        [encoded.moments for encoded in opened(tiny_encoder_folder).encode(clips)] for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.mean, b.mean)
        assert torch.equal(a.scatter, b.scatter)


def test_frames_are_counted_as_the_network_makes_them(tiny_encoder_folder: Path) -> None:
    encoder = opened(tiny_encoder_folder)
    assert encoder.min_samples == 400
    for length in (400, 401, 719, 720, 721, 1039, 1040, 16000):
        assert encoder.num_frames(length) == naive_num_frames(length)
        found = plain_hidden_states(tiny_encoder_folder, waveform(length))
        assert encoder.num_frames(length) == len(found[0])
    assert [encoder.num_frames(n) for n in (0, 1, 9, 10, 100, 399)] == [0] * 6
    assert (encoder.num_frames(16000), encoder.num_frames(160000)) == (49, 499)


@pytest.mark.parametrize("do_normalize", [True, False])
def test_normalisation_is_that_of_the_feature_extractor(folder: Path, do_normalize: bool) -> None:
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
    wide = opened(tiny_encoder_folder).encode(clips)
    narrow = opened(tiny_encoder_folder, "bfloat16").encode(clips)
    for a, b in zip([e.moments for e in narrow], [e.moments for e in wide], strict=True):
        assert a.mean.dtype == torch.float32
        assert 0 < relative_error(a.mean, b.mean) < 0.03


def test_float16_needs_a_gpu(tiny_encoder_folder: Path) -> None:
    with pytest.raises(EncoderError, match="'float16' needs a GPU, the device is 'cpu'; use"):
        opened(tiny_encoder_folder, "float16")


def test_an_unknown_compute_dtype_is_refused(tiny_encoder_folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"compute_dtype: 'float8' is not one of \['bfloat16'"):
        opened(tiny_encoder_folder, "float8")


def test_what_was_loaded_is_described(tiny_encoder_folder: Path) -> None:
    checkpoint = loaded(tiny_encoder_folder)
    assert (checkpoint.family, checkpoint.sample_rate) == ("hubert", 16000)
    assert checkpoint.config["hidden_size"] == 64
    assert checkpoint.config["conv_dim"] == [64] * 7
    assert checkpoint.config["do_stable_layer_norm"] is True
    assert json.loads(json.dumps(dict(checkpoint.config))) == checkpoint.config


def digest_of(folder: Path) -> str:
    return loaded(folder).weights_digest


def use_pickle(folder: Path, extra: dict[str, object]) -> None:
    weights: dict[str, Any] = {**load_file(folder / "model.safetensors"), **extra}
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def test_the_digest_is_of_the_weights_not_of_the_file(folder: Path) -> None:
    before = digest_of(folder)
    use_pickle(folder, {})
    assert digest_of(folder) == before


def test_the_digest_leaves_out_what_only_training_uses(folder: Path) -> None:
    before = digest_of(folder)
    edit_weights(folder, lambda weights: weights.pop("masked_spec_embed"))
    assert digest_of(folder) == before


def test_the_digest_changes_with_one_weight(folder: Path) -> None:
    before = digest_of(folder)
    edit_weights(folder, lambda weights: weights["encoder.layer_norm.bias"][3].add_(1e-6))
    assert digest_of(folder) != before


def test_the_digest_changes_when_two_weights_of_one_shape_change_places() -> None:
    a, b = torch.zeros(2, 2), torch.ones(2, 2)
    assert tensors_digest({"q": a, "k": b}) != tensors_digest({"q": b, "k": a})
    assert tensors_digest({"q": a, "k": b}) == tensors_digest({"query": a, "key": b})


def test_a_missing_weight_is_refused_by_name(folder: Path) -> None:
    name = "encoder.layers.1.attention.k_proj.weight"
    edit_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(EncoderError, match=rf"lacks 1 weights of its model, the first '{name}'"):
        opened(folder)


def test_a_weight_of_another_shape_is_refused(folder: Path) -> None:
    edit_weights(
        folder, lambda weights: weights.update({"encoder.layer_norm.bias": torch.zeros(3)})
    )
    with pytest.raises(EncoderError, match=r"extract\.encoder: .* cannot be loaded"):
        opened(folder)


@pytest.mark.parametrize("size", [3, 5000])
def test_damaged_weights_are_refused(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(EncoderError, match=r"cannot be loaded \(Error while deserializing"):
        opened(folder)


class Malicious:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    use_pickle(folder, {"extra": Malicious(tmp_path / "harm")})
    with pytest.raises(EncoderError, match="pickled weights are damaged or hold more than tensors"):
        opened(folder)
    assert not (tmp_path / "harm").exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("model_type", ["martian", "hubert"])
def test_code_that_a_checkpoint_brings_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    own = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    edit_json(folder / "config.json", model_type=model_type, auto_map=own)
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    if model_type == "hubert":
        opened(folder)
    else:
        with pytest.raises(EncoderError, match="contains custom code"):
            opened(folder)
    assert not (tmp_path / "harm").exists()


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    BertConfig(hidden_size=16).save_pretrained(tmp_path)
    wanted = r"is a 'bert' model, wanted one of \('hubert', 'wavlm', .*, 'whisper'\)"
    with pytest.raises(EncoderError, match=wanted):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused_in_one_line(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=r"cannot be loaded .*; name a folder with") as caught:
        opened(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("spelling", ["no/such-folder", "/no/such/folder", "owner/name@v1"])
def test_an_encoder_that_is_nowhere_is_refused_in_one_line(spelling: str) -> None:
    with pytest.raises(EncoderError, match=f"extract.encoder: {spelling} cannot be") as caught:
        open_encoder(spelling, compute_dtype="float32", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": "wide"}, "expected int, got str"),
        ({"conv_dim": [64, 64]}, "convolutional layers is incorrect"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    folder: Path, values: dict[str, object], message: str
) -> None:
    edit_json(folder / "config.json", **values)
    with pytest.raises(EncoderError, match=message):
        opened(folder)


@pytest.mark.parametrize(
    ("name", "options"), [("size", {"size": "vast"}), ("family", {"family": "bert"})]
)
def test_a_seeded_encoder_of_an_unknown_kind_is_refused(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    with pytest.raises(EncoderError, match=f"seeded encoder: {name} '.*' is not one of"):
        save_seeded_encoder(tmp_path, **options)


def test_a_seeded_encoder_depends_on_its_seed_alone(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        save_seeded_encoder(tmp_path / name, seed=seed)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b") != digest_of(tmp_path / "c")


def test_padded_frames_are_not_counted_whatever_they_hold(generator: torch.Generator) -> None:
    frames = torch.randn(3, 9, 4, generator=generator)
    counts = [9, 1, 5]
    for row, count in zip(frames, counts, strict=True):
        row[count:] = torch.nan
    means, scatters = masked_moments(frames, torch.tensor(counts))
    for i, count in enumerate(counts):
        mean, deviation = naive_mean_and_deviation(frames[i, :count])
        torch.testing.assert_close(means[i], mean)
        torch.testing.assert_close((scatters[i] / count).sqrt(), deviation, rtol=1e-5, atol=1e-6)


def moments_of(frames: Tensor) -> Moments:
    """Moments of one layer's frames (T, D), as one row."""
    mean, deviation = naive_mean_and_deviation(frames)
    return Moments(len(frames), mean[None], deviation[None].square() * len(frames))


@pytest.mark.parametrize("sizes", [[6], [1, 5], [3, 1, 2, 7]])
def test_moments_of_parts_combine_to_those_of_the_whole(
    generator: torch.Generator, sizes: Sequence[int]
) -> None:
    frames = 3 + torch.randn(sum(sizes), 4, generator=generator)
    found = combine([moments_of(part) for part in frames.split(list(sizes))])
    whole = moments_of(frames)
    assert found.num_frames == sum(sizes)
    torch.testing.assert_close(found.mean, whole.mean)
    torch.testing.assert_close(found.scatter, whole.scatter, rtol=1e-4, atol=1e-5)
