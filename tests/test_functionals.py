import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from helpers.encoding import encode_clip
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import is_at_hand, open_encoder, outline_of
from pipeline.errors import AudioError, EncoderError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.encoding import (
    decode,
    make_recipe,
)
from pipeline.extraction.settings import ExtractConfig, ViewSettings
from stages.cli import main

SETS = {"eGeMAPSv02": 88, "ComParE_2016": 6373}
LENGTHS = [960, 16000, 5000, 961]
CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "ravdess" / "Actor_01"


def view(**settings: Any) -> ViewSettings:
    """Return the settings of the view that these parameters make."""
    return ExtractConfig(**settings).view_settings()[0]


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(num_samples)
    phase = np.cumsum(150 + 30 * np.sin(np.arange(num_samples) / 3000)) / 16000
    return (0.3 * np.sin(2 * np.pi * phase) + 0.02 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def opensmile() -> Any:
    return pytest.importorskip("opensmile")


@pytest.fixture(scope="module", params=SETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def encoder(opensmile: Any, name: str) -> Encoder:
    return opened(name)


@pytest.fixture(scope="module")
def plain(opensmile: Any, name: str) -> Any:
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, name),
        feature_level=opensmile.FeatureLevel.Functionals,
    )


def opened(name: str, compute_dtype: str = "float32") -> Encoder:
    return open_encoder(f"opensmile:{name}", compute_dtype=compute_dtype, device="cpu")


def wide(name: str, **settings: Any) -> ViewSettings:
    return view(encoder=f"opensmile:{name}", stored_dtype="float32", **settings)


def test_the_row_is_what_the_package_gives(encoder: Encoder, plain: Any, name: str) -> None:
    samples = waveform(16000)
    wanted = plain.process_signal(samples, 16000)
    moments = encoder.encode([samples])[0].moments
    assert (moments.num_frames, moments.mean.shape) == (1, (1, SETS[name]))
    assert (encoder.num_layers, encoder.dim) == (1, len(wanted.columns))
    np.testing.assert_array_equal(moments.mean[0].numpy(), wanted.to_numpy()[0])
    assert not moments.scatter.any()


def test_a_clip_does_not_see_its_neighbours(encoder: Encoder) -> None:
    clips = [waveform(length, seed) for seed, length in enumerate(LENGTHS)]
    for clip, encoded in zip(clips, encoder.encode(clips), strict=True):
        found = encoded.moments
        assert torch.equal(found.mean, encoder.encode([clip])[0].moments.mean)


def test_full_scale_does_not_wrap_around(encoder: Encoder, plain: Any) -> None:
    """A sample of 1.0 would become -32768."""
    loud = np.clip(4 * waveform(16000), -1, 1)
    assert (loud == 1).any()
    found = encoder.encode([loud])[0].moments.mean
    wanted = plain(np.minimum(loud, 32767 / 32768), 16000)
    np.testing.assert_array_equal(found.numpy(), wanted.reshape(1, -1))
    beyond = encoder.encode([4 * waveform(16000)])[0].moments.mean
    assert torch.equal(found, beyond)
    with np.errstate(invalid="ignore"):
        assert not np.allclose(plain(loud, 16000).reshape(1, -1), wanted.reshape(1, -1))


@pytest.mark.parametrize(("num_samples", "outcome"), [(959, "too_short"), (960, None)])
def test_a_clip_below_60_ms_is_too_short(
    encoder: Encoder, tmp_path: Path, name: str, num_samples: int, outcome: str | None
) -> None:
    soundfile.write(tmp_path / "a.wav", waveform(num_samples), 16000)
    error = decode(Segment(path=tmp_path / "a.wav"), encoder, 30.0).error
    assert (error and error.outcome) == outcome
    if outcome is None:
        assert torch.isfinite(encoder.encode([waveform(num_samples)])[0].moments.mean).all()


@pytest.mark.filterwarnings("ignore:Segment too short")
def test_the_package_gives_nothing_but_nan_below_the_limit(plain: Any) -> None:
    assert np.isnan(plain(waveform(959), 16000)).all()


def test_a_long_clip_is_the_mean_of_its_windows(
    encoder: Encoder, plain: Any, tmp_path: Path, name: str
) -> None:
    samples = waveform(40000)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    config = wide(name, max_duration_s=1)
    found = encode_clip(Segment(path=tmp_path / "a.wav"), encoder, config, batch_seconds=9)
    parts = [plain(part, 16000).reshape(1, -1) for part in np.split(samples, [13333, 26666])]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-4, atol=1e-6)


def test_what_float16_cannot_hold_is_said(opensmile: Any, tmp_path: Path) -> None:
    encoder = opened("ComParE_2016")
    soundfile.write(tmp_path / "a.wav", waveform(32000), 16000)
    config = view(encoder="opensmile:ComParE_2016")
    with pytest.raises(AudioError, match=r"set extract\.stored_dtype to float32") as caught:
        encode_clip(Segment(path=tmp_path / "a.wav"), encoder, config, batch_seconds=9)
    assert caught.value.outcome == "nonfinite"


def test_version_and_set_are_in_the_recipe(encoder: Encoder, opensmile: Any, name: str) -> None:
    recipe = make_recipe(encoder, wide(name))
    assert recipe["encoder"]["feature_set"] == name
    assert recipe["encoder"]["version"] == opensmile.__version__
    assert recipe["normalisation"] == "none"
    assert recipe["layer_convention"] == "functionals"


def test_recordings_have_functionals_without_nan(encoder: Encoder, name: str) -> None:
    files = sorted(CORPUS.glob("*.flac"))[:3]
    if not files:
        pytest.skip("no recordings")
    for path in files:
        found = encode_clip(Segment(path=path), encoder, wide(name), batch_seconds=9)
        assert found.shape == (1, SETS[name])


@pytest.mark.parametrize(("name", "dim"), SETS.items())
def test_the_outline_does_not_need_the_package(
    monkeypatch: pytest.MonkeyPatch, name: str, dim: int
) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    outline = outline_of(f"opensmile:{name}")
    assert (outline.num_layers, outline.dim) == (1, dim)
    assert is_at_hand(f"opensmile:{name}")


def test_without_the_package_the_cure_and_the_licence_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(EncoderError, match=r"pip install 'genser\[opensmile\]'.*licence") as caught:
        opened("eGeMAPSv02")
    assert "non-commercial use only" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spelling", ["opensmile:", "opensmile:emobase"])
def test_an_unknown_feature_set_is_refused(spelling: str) -> None:
    with pytest.raises(EncoderError, match=r"is not one of \['eGeMAPSv02', 'ComParE_2016'\]"):
        open_encoder(spelling, compute_dtype="float32", device="cpu")


def test_other_number_types_and_deviations_are_refused_in_one_line() -> None:
    with pytest.raises(EncoderError, match=r"compute_dtype: .* takes 'float32', found 'bfloat16'"):
        opened("eGeMAPSv02", "bfloat16")
    with pytest.raises(EncoderError, match=r"pooling: .* takes 'mean', found 'mean_std'") as caught:
        check_settings(outline_of("opensmile:eGeMAPSv02"), wide("eGeMAPSv02", pooling="mean_std"))
    assert "\n" not in str(caught.value)


def test_the_command_refuses_before_it_makes_a_store(speech_folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("utterance_id,path,corpus,speaker\na,a.wav,own,s\n")
    words = ["-S", "extract.encoder=opensmile:eGeMAPSv02", "-S", "extract.pooling=mean_std"]
    words += ["extract", str(manifest), "--audio-root", str(speech_folder)]
    done = CliRunner().invoke(main, [*words, "--store", str(tmp_path / "store")])
    assert done.exit_code == 1
    assert "takes 'mean', found 'mean_std'" in done.output
    assert not (tmp_path / "store").exists()
