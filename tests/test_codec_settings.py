"""Views of codes in the section `extract`: what they may say, and what they cost."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.codecs import HOP, RATE, save_codec
from helpers.commands import genser, refused
from pipeline.encoders.base import Outline
from pipeline.errors import EncoderError, ParamsError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.cost import cost_of
from pipeline.extraction.settings import ExtractConfig, ViewConfig, ViewSettings
from pipeline.scoring.predictions import read_predictions
from stages.params import Params

CODEC = Outline(
    num_layers=8, dim=128, poolings=(), compute_dtypes=("float32",), frames_per_s=75, num_codes=1024
)
SPEECH = Outline(num_layers=5, dim=64, frames_per_s=50.0)


def view(name: str = "codes", **values: object) -> ViewSettings:
    config = ExtractConfig(views={name: ViewConfig(**{"encoder": "encodec:e", **values})})
    return config.view_settings()[0]


def test_a_view_called_codes_is_of_codes_and_stored_as_uint16() -> None:
    for settings in (view(), view("x", kind="codes"), view(stored_dtype="uint16")):
        assert (settings.kind, settings.stored_dtype) == ("codes", "uint16")
        assert (settings.rows_per_shard, settings.num_layers, settings.dim) == (256, None, None)


def test_no_codebooks_are_all() -> None:
    assert check_settings(CODEC, view()).codebooks == 8
    assert check_settings(CODEC, view(codebooks=3)).codebooks == 3
    with pytest.raises(EncoderError, match=r"codes\.codebooks: found 9, the codec encodec:e has 8"):
        check_settings(CODEC, view(codebooks=9))


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ("{codes: {stored_dtype: float32}}", "found 'float32', codes are stored as uint16; leave"),
        ("{layers: {stored_dtype: uint16}}", "stored_dtype: 'uint16' is not one of ['float16'"),
        ("{codes: {pooling: mean}}", "codes.pooling: found 'mean', codes are not pooled; leave it"),
        ("{codes: {codebooks: -1}}", "codes.codebooks: -1 is below 0, which is all."),
        ("{codes: {layers: [1]}}", "has layers or every, which are of kind 'frames', found kind"),
        ("{codes: {every: 2}}", "has layers or every, which are of kind 'frames', found kind"),
        ("{layers: {codebooks: 2}}", "has codebooks, which are of kind 'codes', found kind 'lay"),
        ("{frames: {layers: [1], codebooks: 2}}", "are of kind 'codes', found kind 'frames'; mend"),
    ],
)
def test_a_view_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, views: str, message: str
) -> None:
    (tmp_path / "params.yaml").write_text(f"extract:\n  views: {views}\n")
    with pytest.raises(ParamsError, match=re.escape(message)) as caught:
        Params(tmp_path / "params.yaml", ()).section("extract", ExtractConfig)
    assert "\n" not in str(caught.value)


def test_an_encoder_is_asked_only_for_what_it_gives() -> None:
    with pytest.raises(EncoderError, match=r"views\.codes: the encoder .* gives no codes; give"):
        check_settings(SPEECH, view(encoder="e"))
    for settings in (view("layers"), view("frames", layers=(1,))):
        message = rf"gives codes alone, found kind '{settings.kind}'; set kind: codes"
        with pytest.raises(EncoderError, match=message):
            check_settings(CODEC, settings)
    with pytest.raises(EncoderError, match=r"views\.codes\.compute_dtype: the encoder .*'float32'"):
        check_settings(CODEC, view(compute_dtype="bfloat16"))


def test_codes_cost_two_bytes_a_codebook_and_frame() -> None:
    lengths = {"num_samples": [32000, 16000], "sample_rate": [8000, 8000]}
    requests = pd.DataFrame({"utterance_id": ["a", "b"], "start": np.nan, "end": np.nan, **lengths})
    cost = cost_of(check_settings(CODEC, view(codebooks=4)), CODEC, requests, None)
    assert cost.hours * cost.unit_bytes == pytest.approx(2 * 4 * 75 * 6)
    assert "270,000 frames and 2.2 MB an hour, 450 frames and 0.0 MB of disk" in str(cost)


SECTION = """
extract:
  encoder: fbank
  stored_dtype: float32
  rows_per_shard: 8
  views:
    layers: {{}}
    frames: {{layers: [-1]}}
    functionals: {{kind: layers, encoder: {functionals}}}
    encodec: {{kind: codes, encoder: "encodec:{folder}", codebooks: 2}}
    dac: {{kind: codes, encoder: "dac:{folder}2"}}
train: {{head: linear, num_steps: 5, batch_size: 8, eval_every: 5, linear: {{view: encodec}}}}
"""


@pytest.fixture
def section(here: Path, tmp_path: Path) -> Path:
    """Parameters of five views of four encoders."""
    # The extra may be absent; what is tried here is any encoder of whole clips beside others.
    functionals = "opensmile:eGeMAPSv02" if find_spec("opensmile") else "fbank"
    save_codec(tmp_path / "codec", "encodec")
    save_codec(tmp_path / "codec2", "dac")
    params = tmp_path / "params.yaml"
    params.write_text(SECTION.format(folder=tmp_path / "codec", functionals=functionals))
    return params


def test_one_command_makes_all_kinds_and_a_head_predicts_by_codes(
    section: Path, tmp_path: Path
) -> None:
    common = ("--params", section)
    words = ("extract", "demo.csv", "--audio-root", "demo/audio", "--store", tmp_path / "store")
    dry = genser(*common, *words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    per_hour = 3600 * RATE / HOP * 2 * 2 / 1e6
    assert re.search(rf"view encodec: .* frames and {per_hour:.1f} MB an hour", dry.output)
    done = genser(*common, *words)
    assert done.exit_code == 0, done.output
    lines = re.findall(r"view (\w+): (\d+) ok", done.output)
    assert [name for name, _ in lines] == ["layers", "frames", "functionals", "encodec", "dac"]
    assert len({number for _, number in lines}) == 1
    head = tmp_path / "head"
    trained = genser(*common, "train", "demo.csv", "--store", tmp_path / "store", "--out", head)
    assert trained.exit_code == 0, trained.output
    scored = ("--store", tmp_path / "store", "--head", head, "--out", tmp_path / "p.parquet")
    assert genser(*common, "score", "demo.csv", *scored).exit_code == 0
    table = read_predictions(tmp_path / "p.parquet").table.to_pandas()
    told = genser("predict", "demo/audio/" + pd.read_csv("demo.csv")["path"][0], "--head", head)
    assert told.exit_code == 0, told.output
    assert table["predicted"][0] in told.stdout.splitlines()[0]


def test_a_codec_for_the_layers_of_a_clip_is_refused_before_any_work(
    section: Path, tmp_path: Path
) -> None:
    words = ("demo.csv", "--audio-root", "demo/audio", "--store", tmp_path / "store")
    found = refused("-S", f"extract.encoder=encodec:{tmp_path / 'codec'}", "extract", *words)
    assert "extract.views.layers: the codec encodec:" in found
    assert found.count("\n") == 1
    assert not (tmp_path / "store").exists()
