"""What makes a view: the section `extract`, its views, and how an encoder is held to them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from helpers.extraction import PlainEncoder
from pipeline.encoders.base import Outline
from pipeline.errors import EncoderError, ParamsError
from pipeline.extraction.agreement import check_settings
from pipeline.extraction.cost import cost_of
from pipeline.extraction.encoding import make_recipe
from pipeline.extraction.settings import (
    ExtractConfig,
    ViewConfig,
    ViewSettings,
    settings_of_recipe,
)
from pipeline.files import fingerprint
from stages.cli import main
from stages.params import Params

FINGERPRINT = "d5ab0662d4bb0d15c5428579a164964437f53ad4ae89e32c1fdaaf80751fe90a"
OUTLINE = Outline(num_layers=5, dim=64, frames_per_s=50.0)


def section(tmp_path: Path, text: str, *overrides: str) -> ExtractConfig:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return Params(path, overrides).section("extract", ExtractConfig)


def view(**values: Any) -> ViewSettings:
    config = ExtractConfig(views={"frames": ViewConfig(**{"layers": (1,), **values})})
    return config.view_settings()[0]


def test_without_views_there_is_layers_alone(tmp_path: Path) -> None:
    (only,) = section(tmp_path, "extract: {stored_dtype: float32}").view_settings()
    assert (only.name, only.kind, only.rows_per_shard) == ("layers", "layers", 256)
    assert (
        only
        == section(
            tmp_path, "extract: {stored_dtype: float32, views: {layers: {}}}"
        ).view_settings()[0]
    )


def test_flat_keys_are_the_defaults_of_every_view(tmp_path: Path) -> None:
    text = """
    extract:
      encoder: e
      dim: 1024
      stored_dtype: float32
      views:
        layers: {}
        frames: {layers: [2, 3], every: 2, stored_dtype: float16}
        tone: {encoder: fbank, pooling: mean_std}
        last: {kind: frames, layers: [-1], rows_per_shard: 9}
    """
    layers, frames, tone, last = section(tmp_path, text).view_settings()
    assert [v.name for v in (layers, frames, tone, last)] == ["layers", "frames", "tone", "last"]
    assert [v.kind for v in (layers, frames, tone, last)] == [
        "layers",
        "frames",
        "layers",
        "frames",
    ]
    assert [v.encoder for v in (layers, frames, tone, last)] == ["e", "e", "fbank", "e"]
    assert [v.stored_dtype for v in (layers, frames)] == ["float32", "float16"]
    assert [v.dim for v in (layers, frames, tone)] == [1024, 1024, None]
    assert [v.rows_per_shard for v in (layers, frames, last)] == [256, 64, 9]
    assert (frames.layers, frames.every, tone.pooling, last.layers) == (
        (2, 3),
        2,
        "mean_std",
        (-1,),
    )


def test_one_number_of_clips_per_shard_is_that_of_all_views(tmp_path: Path) -> None:
    text = "extract: {rows_per_shard: 32, views: {layers: {}, frames: {layers: [1]}}}"
    assert [v.rows_per_shard for v in section(tmp_path, text).view_settings()] == [32, 32]


def test_an_override_reaches_into_a_view(tmp_path: Path) -> None:
    found = section(tmp_path, "extract: {}", "extract.views.frames.layers=[2,3]")
    assert [(v.name, v.layers) for v in found.view_settings()] == [("frames", (2, 3))]


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ("{}", "extract.views: names no view"),
        ("[layers]", "extract.views: found ['layers'], wanted names and what each is"),
        (
            "{a b: {}}",
            "extract.views: 'a b' is no name of a view; use letters, digits, - and _, at most 80.",
        ),
        ("{../up: {}}", "'../up' is no name of a view"),
        ("{é: {}}", "'é' is no name of a view"),
        ("{f: {kind: words}}", "f.kind: 'words' is not one of ['layers', 'frames', 'codes']."),
        ("{frames: {rows: [1]}}", "extract.views.frames: has unknown keys ['rows']"),
        ("{frames: {layers: 2}}", "frames.layers: found 2, wanted a list, e.g. [2, 3]"),
        ("{frames: {layers: '23'}}", "frames.layers: found '23', wanted a list"),
        ("{frames: {layers: [2, x]}}", "extract.views.frames.layers[1]: found 'x', wanted a"),
        ("{frames: {layers: [true]}}", "frames.layers[0]: found True, wanted a whole number"),
        ("{frames: {}}", "extract.views.frames.layers: names none, wanted those whose frames"),
        ("{frames: {layers: [1], every: 0}}", "frames.every: 0 is below 1 frame."),
        ("{frames: {layers: [1], pooling: mean}}", "frames are not pooled; leave it out."),
        ("{layers: {layers: [1]}}", "extract.views.layers: has layers or every, which are of kind"),
        ("{layers: {every: 2}}", "found kind 'layers'; mend one of them."),
        ("{layers: {stored_dtype: int8}}", "extract.views.layers.stored_dtype: 'int8' is not one"),
        ("{layers: {rows_per_shard: 0}}", "extract.views.layers.rows_per_shard: 0 is below 1."),
    ],
)
def test_a_view_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, views: str, message: str
) -> None:
    with pytest.raises(ParamsError, match=re.escape(message)) as caught:
        section(tmp_path, f"extract:\n  views: {views}\n")
    assert "\n" not in str(caught.value)


def test_a_view_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"--view x: extract\.views has \['layers'\]; name one"):
        ExtractConfig().view_settings(["x"])


def test_negative_layers_count_from_the_end() -> None:
    assert check_settings(OUTLINE, view(layers=(-5, 2, -1))).layers == (0, 2, 4)


@pytest.mark.parametrize("layers", [(5,), (-6,), (2, 1), (1, 1), (4, -1)])
def test_layers_that_an_encoder_has_not_or_has_once_are_refused(layers: tuple[int, ...]) -> None:
    message = r"frames\.layers: found \[.*\], the encoder demo/encoder has layers 0 to 4 \(-5 to -1"
    with pytest.raises(EncoderError, match=message):
        check_settings(OUTLINE, view(encoder="demo/encoder", layers=layers))


def test_frames_of_an_encoder_without_frames_are_refused() -> None:
    with pytest.raises(EncoderError, match=r"views\.frames: the encoder .* gives no frames"):
        check_settings(Outline(num_layers=1, dim=88, poolings=("mean",)), view(layers=(0,)))


def test_the_recipe_of_frames_says_kind_layers_and_every() -> None:
    encoder = PlainEncoder()
    recipe = make_recipe(encoder, check_settings(OUTLINE, view(layers=(-2,), every=2)))
    assert (recipe["view"], recipe["layers"], recipe["every"]) == ("frames", [3], 2)
    assert "pooling" not in recipe
    assert settings_of_recipe("frames", recipe, "demo/encoder").layers == (3,)
    again = settings_of_recipe("frames", recipe, "demo/encoder")
    assert make_recipe(encoder, again) == recipe


def test_the_recipe_of_layers_has_the_fingerprint_it_had() -> None:
    """Stores made before there were other views must stay in use."""
    recipe = make_recipe(PlainEncoder(), ExtractConfig().view_settings()[0])
    assert fingerprint(recipe) == FINGERPRINT


def test_the_cost_of_frames_is_told_by_the_hour_and_for_what_is_known() -> None:
    requests = pd.DataFrame(
        {
            "utterance_id": ["a", "b", "c"],
            "start": [np.nan, 1.0, np.nan],
            "end": [np.nan, 3.0, np.nan],
            "num_samples": [32000, -1, -1],
            "sample_rate": [8000, -1, -1],
        }
    )
    settings = check_settings(OUTLINE, view(layers=(1, 2, -1), every=2))
    cost = cost_of(settings, OUTLINE, requests, None)
    assert (cost.num_new, cost.num_known, cost.num_unmeasured) == (3, 0, 1)
    assert cost.hours == pytest.approx(6 / 3600)
    assert cost.frames_per_hour == 50 * 3600 / 2
    assert cost.unit_bytes == 90000 * 3 * 64 * 2
    assert "90,000 frames and 34.6 MB an hour, 150 frames and 0.1 MB of disk" in str(cost)
    assert str(cost).endswith("and more for 1 clips of unknown length")


def test_the_parameters_with_views_can_be_inspected(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        "extract: {encoder: fbank, views: {frames: {layers: [2]}}}"
    )
    result = CliRunner().invoke(main, ["inspect", str(tmp_path / "params.yaml")])
    assert result.exit_code == 0, result.output
    assert re.search(r"frames +kind None, .*layers 2, every 1", result.output)
