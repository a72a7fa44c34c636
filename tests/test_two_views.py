"""A head that reads two views of one encoder, through the commands."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.dataset import StoredFeatures
from pipeline.manifests.manifest import read_manifest
from pipeline.store.reader import FeatureStore

HEAD = '''
from dataclasses import dataclass
import torch
from torch import nn
from pipeline.heads.base import Head
from pipeline.heads.catalogue import HeadKind
from pipeline.heads.needs import LAYERS_OF_A_CLIP, Need
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class BothConfig:
    layers: tuple[int, ...] = (1, 0)


class Both(Head):
    """The last layer beside the mean of frames."""

    @classmethod
    def needs(cls, config):
        heard = Need(name="heard", kind="frames", view="frames", layers=config.layers)
        return (LAYERS_OF_A_CLIP, heard)

    def __init__(self, shapes, num_classes, config):
        super().__init__()
        width = shapes["layers"].dim + shapes["heard"].num_layers * shapes["heard"].dim
        self.network = nn.Linear(width, num_classes)

    def scores(self, batch, options):
        frames = batch.ragged("heard")
        mean = frames.values.sum(1) / frames.lengths[:, None, None]
        return self.network(torch.cat([batch.layers[:, -1], mean.flatten(1)], dim=1))

    def loss(self, batch, *, phase, progress, generator):
        found = functional.cross_entropy(self.scores(batch, None), batch.targets, reduction="none")
        return {"cross_entropy": batch.weighted_mean(found)}

    def extras(self, batch, options):
        return {"frames": batch.ragged("heard").lengths.float()}

    def reweighted(self, scores, factors, temperature):
        return scores + temperature * factors.log()


BOTH = HeadKind(Both, BothConfig)
'''
VIEWS = ["-S", "extract.views.layers={}", "-S", "extract.views.frames.layers=[1,2,-1]"]
TRAIN = ["-S", "train.head=both", "-S", "train.num_steps=10", "train", "demo.csv"]


@pytest.fixture
def two(here: Path, tmp_path: Path, install) -> Path:
    """The demo's clips in a store of two views."""
    install("both_views", HEAD, {"genser.heads": "both = both_views:BOTH"})
    words = ["extract", "demo.csv", "--audio-root", "demo/audio", "--store", tmp_path / "store"]
    assert genser(*VIEWS, *words).exit_code == 0
    return tmp_path


def test_it_is_trained_scored_and_predicts_what_it_scored(two: Path) -> None:
    store, head, out = two / "store", two / "head", two / "p.parquet"
    assert genser(*TRAIN, "--store", store, "--out", head).exit_code == 0
    told = json.loads((head / "head.json").read_text())
    assert set(told["recipes"]) == set(told["encoders"]) == {"layers", "frames"}
    assert set(told["standardisers"]) == {"layers", "heard"}
    assert told["shapes"]["heard"]["num_layers"] == 2
    words = ["score", "demo.csv", "--store", store, "--head", head, "--out", out]
    assert genser(*words).exit_code == 0
    scored = pd.read_parquet(out)
    paths = [f"demo/audio/{path}" for path in pd.read_csv("demo.csv")["path"][:4]]
    for some in (paths[:1], paths):  # alone, and clips of several lengths together
        answers = json.loads(genser("predict", *some, "--head", head, "--json").stdout)
        assert [answer["path"] for answer in answers] == some
        for answer, (_, row) in zip(answers, scored.iterrows(), strict=False):
            assert answer["frames"] == row["frames"]
            for name, value in answer["probabilities"].items():
                assert value == pytest.approx(row[f"probability.{name}"], abs=1e-3)


def test_a_store_without_the_view_is_refused_by_its_name(two: Path) -> None:
    told = refused(*TRAIN, "--store", "store", "--out", two / "head")
    assert "no view 'frames', only ['layers']; extract or ingest it" in told


def test_a_layer_that_the_view_lacks_is_refused(two: Path) -> None:
    words = ["-S", "train.both.layers=[7]", *TRAIN, "--store", two / "store", "--out", two / "head"]
    assert "view 'frames': found layers [7] asked for, wanted some of 0 to 2" in refused(*words)


def test_a_clip_has_features_where_both_views_have_them(two: Path) -> None:
    manifest = read_manifest(Path("demo.csv"))
    both = StoredFeatures(manifest, {"": two / "store"}, ("layers", "frames"))
    assert both.has_features.all()
    rows = np.array([3, 0, 3])
    view = FeatureStore.open(two / "store").view("frames")
    for frames, row in zip(both.read_frames(rows, "frames", [2]), rows, strict=True):
        (alone,) = view.read_ragged([manifest.store_ids[row]], [2])
        np.testing.assert_array_equal(frames, alone)
    # Layers are the frames' means: two ways to one number.
    means = np.stack([f.astype(np.float64).mean(0) for f in both.read_frames(rows, "frames")])
    layers = both.read(rows, "layers")[:, [1, 2, -1]]
    np.testing.assert_allclose(means, layers, atol=2e-3)


def test_the_digest_of_features_is_that_of_the_views_that_are_read(two: Path) -> None:
    manifest, rows = read_manifest(Path("demo.csv")), np.arange(5)
    both = StoredFeatures(manifest, {"": two / "store"}, ("layers", "frames"))
    alone = StoredFeatures(manifest, {"": two / "store"})
    assert both.only(("layers",)).digest(rows) == alone.digest(rows) != both.digest(rows)
    assert alone.digest(rows) != alone.digest(rows[::-1])
