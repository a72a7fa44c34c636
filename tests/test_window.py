"""`extract.window_s`: what Whisper and its like pad each clip to, in place of 30 s."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn.functional import gelu
from transformers import AutoModel, WhisperFeatureExtractor

from helpers.commands import genser, refused
from helpers.encoders import view, whisper_at
from helpers.encoding import encode_clip
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Outline
from pipeline.encoders.catalogue import open_encoder, outline_of
from pipeline.encoders.pooling import pool
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import EncoderError, ParamsError
from pipeline.exporting.listener import Listener
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.encoding import make_recipe
from pipeline.extraction.settings import ExtractConfig, ViewConfig
from pipeline.extraction.views import open_views
from pipeline.heads.saved import load_head
from pipeline.report.making import _hearing
from pipeline.store.recipe import differences

RATE = 16000
OUTLINE = Outline(num_layers=5, dim=64, frames_per_s=50.0, max_window_s=30, trained_window_s=30)


def waveform(num_samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, whisper_folder: Path) -> dict[str, Path]:
    found = {"whisper": whisper_folder}
    for family in ("qwen2_audio", "voxtral"):
        found[family] = tmp_path_factory.mktemp(family)
        save_seeded_encoder(found[family], family=family)
    return found


def cut_by_hand(folder: Path, samples: np.ndarray, window_s: float) -> list[Tensor]:
    """The layers of transformers' own modules, of the mel and the positions of a window alone."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    length = round(window_s * RATE)
    padded = np.pad(samples, (0, length - len(samples)))
    mel = extractor(padded, sampling_rate=RATE, return_tensors="pt", max_length=length)
    model = AutoModel.from_pretrained(folder).eval()
    model = model.encoder if hasattr(model, "encoder") else model.audio_tower
    with torch.inference_mode():
        hidden = gelu(model.conv2(gelu(model.conv1(mel["input_features"])))).transpose(1, 2)
        assert hidden.shape[1] == round(50 * window_s)
        rows = [hidden + model.embed_positions.weight[: hidden.shape[1]]]
        for block in model.layers:
            after = block(rows[-1], None)
            rows.append(after[0] if isinstance(after, tuple) else after)
        rows[-1] = model.layer_norm(rows[-1])
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("family", "window_s", "num_samples"),
    [
        ("whisper", 1, 16000),
        ("whisper", 2.5, 5001),
        ("whisper", 6.02, 96320),
        ("whisper", 6.02, 400),
        ("qwen2_audio", 2.5, 16000),
        ("voxtral", 2.5, 16000),
    ],
)
def test_the_layers_are_those_of_the_first_positions(
    folders: dict[str, Path], family: str, window_s: float, num_samples: int
) -> None:
    samples, folder = waveform(num_samples), folders[family]
    encoder = open_encoder(str(folder), compute_dtype="float32", device="cpu", window_s=window_s)
    (found,) = encoder.encode([samples], [0, 4])
    wanted = cut_by_hand(folder, samples, window_s)
    own = -(-num_samples // 320)
    assert (len(wanted), found.moments.num_frames) == (5, own)
    for k, frames in enumerate(wanted):
        torch.testing.assert_close(
            pool(found.moments, "mean")[k], frames[:own].mean(0), rtol=1e-4, atol=1e-5
        )
    torch.testing.assert_close(found.frames[:, 1], wanted[4][:own], rtol=1e-4, atol=1e-4)
    whole = open_encoder(str(folder), compute_dtype="float32", device="cpu")
    mean = whole.encode([samples])[0].moments.mean
    assert not torch.allclose(found.moments.mean[-1], mean[-1], atol=1e-3)


def test_a_clip_does_not_see_its_neighbours(whisper_folder: Path) -> None:
    encoder = whisper_at(whisper_folder, window_s=2)
    clips = [waveform(length, seed) for seed, length in enumerate([400, 32000, 5001])]
    for clip, together in zip(clips, encoder.encode(clips), strict=True):
        alone = encoder.encode([clip])[0].moments
        torch.testing.assert_close(together.moments.mean, alone.mean, rtol=1e-4, atol=1e-5)


def test_a_longer_clip_is_cut_into_windows(whisper_folder: Path, tmp_path: Path) -> None:
    samples = waveform(50000)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    encoder = whisper_at(whisper_folder, window_s=2)
    config = view(max_duration_s=2, window_s=2, stored_dtype="float32")
    found = encode_clip(Segment(path=tmp_path / "a.wav"), encoder, config, batch_seconds=9)
    parts = [torch.stack(cut_by_hand(whisper_folder, p, 2)) for p in np.split(samples, 2)]
    frames = torch.cat([part[:, : -(-25000 // 320)] for part in parts], dim=1)
    np.testing.assert_allclose(found, frames.mean(1).numpy(), rtol=1e-3, atol=1e-4)
    with pytest.raises(EncoderError, match=r"takes 32000 .*max_duration_s to 2 or less"):
        encoder.encode([samples])


def test_a_window_is_part_of_the_recipe_and_the_trained_one_is_as_if_not_given(
    whisper_folder: Path,
) -> None:
    folder = str(whisper_folder)

    def recipe(**values: float) -> dict[str, object]:
        config = ExtractConfig(encoder=folder, max_duration_s=2, **values)
        (opened,) = open_views(config.view_settings(), "cpu")
        return dict(opened.recipe)

    plain, narrow = recipe(), recipe(window_s=6.5)
    assert "window_s" not in plain
    assert plain == make_recipe(whisper_at(whisper_folder), view(max_duration_s=2))
    assert json.dumps(recipe(window_s=30)) == json.dumps(plain)
    assert json.dumps(recipe(window_s=2)) == json.dumps(recipe(window_s=2.0))
    assert sorted(differences(plain, narrow)) == [
        "encoder.flags.max_source_positions is 1500, wanted 325",
        "encoder.preprocessor.chunk_length is 30, wanted 6.5",
        "window_s is 'nothing', wanted 6.5",
    ]


def test_a_view_may_have_its_own_and_one_of_another_encoder_has_not_the_section_s(
    whisper_folder: Path,
) -> None:
    views = {
        "layers": ViewConfig(),
        "whole": ViewConfig(window_s=30),
        "longer": ViewConfig(window_s=2, max_duration_s=2),
        "tone": ViewConfig(encoder="fbank"),
    }
    config = ExtractConfig(encoder=str(whisper_folder), window_s=1, max_duration_s=1, views=views)
    opened = open_views(config.view_settings(), "cpu")
    assert [one.settings.window_s for one in opened] == [1, None, 2, None]
    assert [one.encoder.padded_samples for one in opened] == [RATE, 30 * RATE, 2 * RATE, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_s": 31}, "window_s: the encoder e is trained on windows of 30 seconds, found 31"),
        (
            {"window_s": 6.01, "max_duration_s": 6},
            r"window_s: the encoder e has 50 frames a second, found a window of 6\.01 seconds, "
            r"wanted a multiple of 0\.02; set it to 6\.",
        ),
        (
            {"window_s": 6},
            "max_duration_s: the encoder e takes 6 seconds at once, found 30; longer clips are "
            r"cut, set it to 6\.",
        ),
    ],
)
def test_a_window_that_cannot_be_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(EncoderError, match=rf"extract\.{message}") as caught:
        check_settings(OUTLINE, view(encoder="e", **settings))
    assert "\n" not in str(caught.value)
    check_settings(OUTLINE, view(encoder="e", window_s=6.02, max_duration_s=6.02))


def test_less_than_a_second_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"extract\.window_s: 0\.98 is below 1 second; set it"):
        view(window_s=0.98)
    with pytest.raises(ParamsError, match=r"extract\.views\.layers\.window_s: 0\.98 is below 1"):
        view(views={"layers": ViewConfig(window_s=0.98)})


def test_an_encoder_without_windows_is_refused_one(
    tiny_encoder_folder: Path, install: Callable[..., None]
) -> None:
    outline = "Outline(num_layers=1, dim=1, frames_per_s=50, trained_window_s=30)"
    module = (
        "from pipeline.encoders.base import EncoderKind, Outline\n"
        f"KIND = EncoderKind(outline=lambda spelling: {outline}, open=None)\n"
    )
    install("windowed", module, {"genser.encoders": "windowed = windowed:KIND"})
    for spelling in (str(tiny_encoder_folder), "fbank", "opensmile:eGeMAPSv02", "windowed"):
        with pytest.raises(EncoderError, match=r"extract\.window_s: .* no window, found one of 6"):
            open_encoder(spelling, compute_dtype="float32", device="cpu", window_s=6)
        settings = view(encoder=spelling, views={"mine": ViewConfig(window_s=6, max_duration_s=6)})
        with pytest.raises(EncoderError, match=r"extract\.views\.mine\.window_s: .*; leave it out"):
            check_settings(outline_of(spelling), settings)


@pytest.mark.parametrize("window_s", [1, 2.5])
def test_what_an_exported_file_hears_is_what_is_extracted(
    whisper_folder: Path, window_s: float
) -> None:
    encoder = whisper_at(whisper_folder, window_s=window_s)
    sound = waveform(9000)
    wanted = pool(encoder.encode([sound])[0].moments, "mean_std")
    with torch.no_grad():
        found = Listener(encoder, "mean_std")(torch.from_numpy(sound[None]))
    torch.testing.assert_close(found[0], wanted, atol=2e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def narrow(made: Path, tmp_path_factory: pytest.TempPathFactory, whisper_folder: Path) -> Path:
    """The demo's clips through a Whisper of windows of 1 s, and a head on them."""
    folder = tmp_path_factory.mktemp("narrow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        planned = genser(*words(whisper_folder, folder), "--dry-run")
        assert "clips to extract" in planned.stdout, planned.output
        assert genser(*words(whisper_folder, folder)).exit_code == 0
        train = ("-S", "train.head=logreg", "train", "demo.csv", "--store", folder / "store")
        assert genser(*train, "--out", folder / "head").exit_code == 0
    return folder


def words(whisper: Path, folder: Path, window_s: float = 1) -> list[object]:
    section = {"encoder": whisper, "window_s": window_s, "max_duration_s": 1}
    overrides = [
        word for key, value in section.items() for word in ("-S", f"extract.{key}={value}")
    ]
    return [
        *overrides,
        "extract",
        "demo.csv",
        "--audio-root",
        "demo/audio",
        "--store",
        folder / "store",
    ]


@pytest.mark.usefixtures("here")
def test_a_recording_is_predicted_in_the_windows_of_the_store(
    narrow: Path, whisper_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.parquet"
    genser(
        "score", "demo.csv", "--store", narrow / "store", "--head", narrow / "head", "--out", out
    )
    scored = pd.read_parquet(out)
    paths = [f"demo/audio/{path}" for path in pd.read_csv("demo.csv")["path"]]
    answers = json.loads(genser("predict", *paths, "--head", narrow / "head", "--json").stdout)
    for answer, (_, row) in zip(answers, scored.iterrows(), strict=True):
        for name, value in answer["probabilities"].items():
            assert value == pytest.approx(row[f"probability.{name}"], abs=1e-3)
    told = refused(*words(whisper_folder, narrow, window_s=30))
    assert "window_s is 1.0, wanted 'nothing'" in told


def test_a_page_says_the_window(narrow: Path) -> None:
    record = load_head(narrow / "head").record
    recipe = record.recipes["layers"]
    assert "heard at 16000 Hz, in windows of 1 s, computed" in _hearing(record, "layers", recipe)
    without = {key: value for key, value in recipe.items() if key != "window_s"}
    assert ", in windows" not in _hearing(record, "layers", without)


@pytest.mark.usefixtures("here")
def test_an_onnx_file_says_what_is_predicted(narrow: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    file, head = tmp_path / "h.onnx", narrow / "head"
    genser("export", head, "--onnx-waveform", file)
    session = onnxruntime.InferenceSession(file)
    told = session.get_modelmeta().custom_metadata_map
    assert (told["sample_rate"], told["max_duration_s"]) == ("16000", "1.0")
    clip = next(iter(sorted(Path("demo/audio").rglob("*.wav"))))
    samples, _ = soundfile.read(clip, dtype="float32")
    for num_samples in (RATE, 9001):
        soundfile.write(tmp_path / "a.wav", samples[:num_samples], RATE, subtype="FLOAT")
        (answer,) = json.loads(
            genser("predict", tmp_path / "a.wav", "--head", head, "--json").stdout
        )
        found = session.run(None, {"waveform": samples[None, :num_samples]})[1][0]
        np.testing.assert_allclose(found, list(answer["probabilities"].values()), atol=5e-3)
