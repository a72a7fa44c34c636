"""Heads as ONNX: the file gives what `genser score` and `genser predict` give, or is not there."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from transformers import HubertConfig, HubertModel

from helpers.commands import genser, refused
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.encoders.catalogue import open_encoder
from pipeline.errors import EncoderError, HeadError
from pipeline.evaluation.links import Power, Softmax
from pipeline.exporting.listener import Listener
from pipeline.exporting.onnx_files import Example, write_onnx
from pipeline.exporting.scorer import Scorer, _probabilities
from pipeline.heads.saved import load_head
from pipeline.scoring.predictions import read_predictions
from pipeline.scoring.score import ScoreConfig
from pipeline.store.reader import FeatureStore

ROOT = Path(__file__).parent.parent
POWER = ("-S", "train.genser.link=power", "-S", "train.genser.condition.kind=tokens")


@pytest.fixture
def onnxruntime():
    return pytest.importorskip("onnxruntime", reason="needs the extra onnx")


def scored(words: tuple[str, ...], head: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, scores and probabilities of the demo's clips, by `genser score`."""
    out = head.with_suffix(".parquet")
    genser(*words, "score", "demo.csv", "--store", "store", "--head", head, "--out", out)
    table = read_predictions(out).table.to_pandas()
    table = table[table["error"].isna()]
    layers = FeatureStore.open(Path("store")).view("layers")
    classes = load_head(head).classes
    scores, probabilities = (
        table[[f"{name}.{label}" for label in classes]].to_numpy()
        for name in ("score", "probability")
    )
    return layers.read(table["utterance_id"].tolist()).astype(np.float32), scores, probabilities


@pytest.mark.parametrize(
    ("train", "score"),
    [
        (POWER, ("-S", "score.genser.num_steps=2", "-S", "score.genser.solver=euler")),
        (("-S", "train.head=twin"), ("-S", "score.prior=uniform")),
        (("-S", "train.head=logreg", "-S", "train.logreg.input=last"), ()),
    ],
    ids=["genser", "twin", "logreg"],
)
def test_the_file_scores_any_number_of_clips_as_genser_does(
    here, onnxruntime, tmp_path, train, score
):
    head = tmp_path / "head"
    genser(*train, "train", "demo.csv", "--store", "store", "--out", head)
    done = genser(*score, "export", head, "--onnx", tmp_path / "h.onnx")
    assert "off torch" in done.stdout
    session = onnxruntime.InferenceSession(tmp_path / "h.onnx")
    layers, scores, probabilities = scored(score, head)
    for num in (len(layers), 1):
        found = session.run(None, {"layers": layers[:num]})
        np.testing.assert_allclose(found[0], scores[:num], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[1], probabilities[:num], atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    trained = load_head(head)
    assert told["head"] == trained.digest
    assert json.loads(told["classes"]) == list(trained.classes)


def save_small_encoder(folder: Path) -> None:
    """Save a HuBERT of one block and two convolutions, which is soon exported."""
    config = HubertConfig.from_pretrained("demo/encoder")
    config.conv_dim, config.num_hidden_layers, config.num_feat_extract_layers = (16, 16), 1, 2
    config.conv_kernel, config.conv_stride = (400, 2), (160, 2)
    torch.manual_seed(0)
    HubertModel(config).save_pretrained(folder)
    copyfile("demo/encoder/preprocessor_config.json", folder / "preprocessor_config.json")


def test_the_page_s_ten_lines_say_what_predict_says(
    here, onnxruntime, tmp_path, monkeypatch, capsys
):
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    lines = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    clip = next(iter(sorted(Path("demo/audio").rglob("*.wav"))))
    copyfile(clip, tmp_path / "hello.wav")
    encoder, store, head = (tmp_path / name for name in ("encoder", "store", "head"))
    save_small_encoder(encoder)
    words = ("extract", "demo.csv", "--audio-root", "demo/audio", "--store", store)
    genser("-S", f"extract.encoder={encoder}", *words)
    genser("-S", "train.head=logreg", "train", "demo.csv", "--store", store, "--out", head)
    wanted = json.loads(genser("predict", clip, "--head", head, "--json").stdout)
    genser("export", head, "--onnx-waveform", tmp_path / "ravdess_waveform.onnx")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(lines, {})
    found = eval(capsys.readouterr().out)
    assert found == pytest.approx(wanted[0]["probabilities"], abs=5e-3)


def test_a_file_that_computes_something_else_is_not_written(onnxruntime, tmp_path):
    class Twice(nn.Module):
        def forward(self, x):
            return 2 * x, x

    x = np.ones((2, 3), np.float32)
    path = tmp_path / "h.onnx"
    path.write_bytes(b"former")
    free = {"x": {0: torch.export.Dim("batch")}}
    wrong = Example(inputs={"x": x}, scores=2.1 * x, answers=x)
    with pytest.raises(HeadError, match=r"off what torch computes, wanted at most 1e-05; nothing"):
        write_onnx(path, Twice(), free, [wrong], {})
    assert path.read_bytes() == b"former"
    assert write_onnx(path, Twice(), free, [replace(wrong, scores=2 * x)], {}) == 0
    assert path.read_bytes() != b"former"


def test_a_file_takes_as_many_frames_of_whisper_as_the_clip_has(
    onnxruntime, whisper_folder, tmp_path
):
    encoder = open_encoder(str(whisper_folder), compute_dtype="float32", device="cpu")

    class Own(nn.Module):
        def forward(self, waveform):
            own = waveform[:, : encoder.num_frames(waveform.shape[1])].sum(1, keepdim=True)
            return own, own

    examples = []
    for num_samples in (16_000, 5_920, 9_001):  # frames end with the clip, or only the last does
        frames = math.ceil(num_samples / 320)
        own = np.full((1, 1), frames, np.float32)
        x = np.ones((1, num_samples), np.float32)
        examples.append(Example(inputs={"waveform": x}, scores=own, answers=own))
    free = {"waveform": {1: torch.export.Dim("samples", min=800, max=480_000)}}
    assert write_onnx(tmp_path / "own.onnx", Own(), free, examples, {}) == 0


@given(
    scores=arrays(np.float32, (4, 3), elements=st.floats(-2, 2, width=32)),
    link=st.one_of(
        st.builds(Softmax, temperature=st.floats(0.01, 10)),
        st.builds(Power, exponent=st.floats(0.05, 100), offset=st.floats(1e-6, 1)),
    ),
)
def test_the_links_of_a_file_are_those_of_genser(scores, link):
    found = _probabilities(link, torch.from_numpy(scores)).numpy()
    np.testing.assert_allclose(found, link.probabilities(scores), atol=1e-6)


def test_what_cannot_be_in_a_file_is_refused_before_anything_is_exported(here):
    trained = load_head(Path("head"))
    tokens = replace(trained, record=replace(trained.record, kind="tokens"))
    with pytest.raises(HeadError, match=r"kind 'tokens' is not exported, wanted one of \['genser'"):
        Scorer(tokens, ScoreConfig())
    with pytest.raises(HeadError, match="draws: found 3, wanted 1"):
        Scorer(trained, ScoreConfig(heads={"genser": SamplerConfig(draws=3)}))
    link = {"kind": "power", "exponent": 1.0, "offset": 0.1}
    power = replace(trained, record=replace(trained.record, link=link, temperature=None))
    with pytest.raises(HeadError, match="'uniform' with a power link"):
        Scorer(power, ScoreConfig(prior="uniform"))
    with pytest.raises(EncoderError, match="'fbank' is not exported"):
        Listener(open_encoder("fbank", compute_dtype="float32", device="cpu"), "mean")


def test_export_names_what_is_missing(here, monkeypatch):
    assert "names no file; give --onnx FILE" in refused("export", "head")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    told = refused("export", "head", "--onnx", "h.onnx")
    assert "needs onnxruntime" in told
    assert "pip install 'genser[onnx]'" in told
    assert not Path("h.onnx").exists()


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
@pytest.mark.parametrize("family", ["hubert", "whisper"])
def test_what_is_heard_is_what_is_extracted(
    family, pooling, tiny_encoder_folder, whisper_folder, generator
):
    from pipeline.encoders.base import normalised
    from pipeline.encoders.pooling import pool

    folder = {"hubert": tiny_encoder_folder, "whisper": whisper_folder}[family]
    encoder = open_encoder(str(folder), compute_dtype="float32", device="cpu")
    sound = 0.1 * torch.randn(1, 9_000, generator=generator).numpy()
    as_heard = normalised(
        sound[0], mean=sound.mean(), variance=sound.var(), how=encoder.normalisation
    )
    wanted = pool(encoder.encode([as_heard])[0].moments, pooling)
    with torch.no_grad():
        found = Listener(encoder, pooling)(torch.from_numpy(sound))
    torch.testing.assert_close(found[0], wanted, atol=2e-5, rtol=1e-4)  # other ways to sum
