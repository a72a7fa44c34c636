"""Features that are read once and held: the same numbers, no copies, gone when they are let go."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.dataset import StoredFeatures
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.needs import LAYERS_OF_A_CLIP, FeatureShape
from pipeline.held import HeldFeatures
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.sources.opening import Fits, open_source

NUM = 20
ROWS = np.array([3, 1, 7, 12, 15])


@pytest.fixture
def features(tmp_path: Path) -> StoredFeatures:
    ids = [f"clip{i}" for i in range(NUM)]
    values = np.random.default_rng(0).normal(size=(NUM, 2, 4)).astype(np.float32)
    table = FeatureTable(utterance_ids=ids, features=values)
    ingest(table, tmp_path / "store", IngestConfig(), Silence())
    told = {"utterance_id": ids, "path": ids, "corpus": "x", "speaker": "s", "split": "train"}
    write_manifest(tmp_path / "m.csv", pd.DataFrame(told))
    return StoredFeatures(read_manifest(tmp_path / "m.csv"), {"": tmp_path / "store"})


def test_held_features_are_those_of_the_store_whichever_rows_are_asked_for(features) -> None:
    held = HeldFeatures(features, ROWS)
    for rows in (ROWS, ROWS[[4, 0, 0]], np.arange(NUM), np.array([NUM - 1]), ROWS[:0]):
        for layers in (None, (1,)):
            array, places = held.dense(rows, "layers", layers=layers)
            assert len(places) == len(rows)
            if len(rows):
                np.testing.assert_array_equal(array[places], features.read(rows, layers=layers))


def test_a_source_copies_nothing_of_what_is_held(features, monkeypatch) -> None:
    held = HeldFeatures(features, ROWS)
    array, _ = held.dense(ROWS, "layers")
    monkeypatch.setattr(StoredFeatures, "read", None)  # from here on nothing is read
    for fold in (held, held.only(["layers"]), held.of(features.manifest)):
        source = open_source(fold, ROWS[[4, 1]], [LAYERS_OF_A_CLIP], (), device="cpu")
        array[-1] = 5.0  # that of row 15
        (batch,) = source.batches([[np.arange(2)]])
        assert (batch.layers[0] == 5.0).all()
        assert (batch.layers[1] != 5.0).all()


def test_what_is_let_go_is_read_anew(features) -> None:
    held = HeldFeatures(features, ROWS)
    array, _ = held.dense(ROWS, "layers")
    held.of(features.manifest).let_go(["layers"])
    assert held.dense(ROWS, "layers")[0] is array
    held.let_go(["codes-2"])
    assert held.dense(ROWS, "layers")[0] is not array


def test_a_standardiser_is_fitted_once_for_the_same_rows_alone(features) -> None:
    fits, shapes = (
        Fits(),
        {"layers": FeatureShape(num_layers=2, dim=4, last_layer=1, input_layer=0)},
    )

    def fitted(rows: np.ndarray, kind: str = "dimension") -> object:
        source = open_source(features, rows, [LAYERS_OF_A_CLIP], (), device="cpu")
        every = np.arange(len(rows))
        return fits.standardisers(source, every, shapes, kind=kind, over="all")["layers"]

    first = fitted(ROWS)
    assert fitted(ROWS) is first
    assert fitted(ROWS, "scalar") is not first
    other = fitted(ROWS[:4])
    np.testing.assert_allclose(other.mean, features.read(ROWS[:4]).mean(0, np.float64), atol=1e-6)
    again = fitted(ROWS)  # of one set of rows at a time
    assert again is not first
    np.testing.assert_array_equal(again.mean, first.mean)
