import json

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.scoring.predictions import read_predictions
from pipeline.store.recipe import derived_recipe, trained_on


@pytest.mark.parametrize("kind", ["npz", "npy", "parquet"])
def test_ingested_features_train_a_head_and_predict_refuses_it(here, tmp_path, kind):
    manifest = pd.read_csv("demo.csv")
    generator = np.random.default_rng(0)
    features = generator.normal(size=(30, 3, 12)).astype(np.float32)
    ids = manifest["utterance_id"].tolist()
    table = tmp_path / f"f.{kind}"
    if kind == "npz":
        np.savez(table, utterance_id=ids, features=features)
    elif kind == "parquet":
        rows = [row.tolist() for row in features]
        pd.DataFrame({"utterance_id": ids, "features": rows}).to_parquet(table)
    else:
        table.mkdir()
        for name, row in zip(ids, features, strict=True):
            np.save(table / f"{name}.npy", row)
    store, head = tmp_path / "s", tmp_path / "h"
    words = ["-S", "ingest.last_layer=1", "ingest", table, "--store", store]
    result = genser(*words)
    assert "x1 is layer 1" in result.stdout
    assert genser(*words).stdout.startswith(f"{store}: view layers: 30 clips, 0 of them written")
    assert genser("train", "demo.csv", "--store", store, "--out", head).exit_code == 0
    assert json.loads((head / "head.json").read_text())["shapes"]["layers"]["last_layer"] == 1
    told = refused("predict", "demo/audio/" + manifest["path"][0], "--head", head)
    assert "ingested" in told


def test_ingesting_again_takes_changed_rows_only(here, tmp_path):
    features = np.random.default_rng(0).normal(size=(5, 2, 4)).astype(np.float32)
    ids = list("abcde")
    np.savez(tmp_path / "f.npz", utterance_id=ids, features=features)
    genser("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    features[3] += 1
    np.savez(tmp_path / "f.npz", utterance_id=ids, features=features)
    result = genser("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    assert "5 clips, 1 of them written" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"utterance_id": ["a", "a"], "features": np.ones((2, 3))}, "'a' occurs twice"),
        ({"utterance_id": ["a"], "features": np.ones((2, 3))}, "1 ids for 2 rows"),
        ({"utterance_id": ["a"], "features": np.ones(3)}, "shape"),
        ({"features": np.ones((2, 3))}, "cannot be read"),
        ({"utterance_id": ["a"], "features": np.array([object()])}, "cannot be read"),
    ],
)
def test_ingest_refuses_a_bad_table(tmp_path, content, message):
    np.savez(tmp_path / "f.npz", **content)
    told = refused("ingest", tmp_path / "f.npz", "--store", tmp_path / "s")
    assert message in told
    assert not (tmp_path / "s").exists()


def test_a_corpus_that_the_features_know_is_stamped(here, tmp_path):
    manifest = pd.read_csv("demo.csv")
    features = np.random.default_rng(0).normal(size=(30, 3, 12)).astype(np.float32)
    np.savez(tmp_path / "f.npz", utterance_id=manifest["utterance_id"].tolist(), features=features)
    store, head, out = tmp_path / "s", tmp_path / "h", tmp_path / "p.parquet"
    words = ["-S", "ingest.trained_on=[other, demo]", "ingest", tmp_path / "f.npz"]
    genser(*words, "--store", store)
    told = refused("ingest", tmp_path / "f.npz", "--store", store)
    assert "trained_on is ['demo', 'other'], wanted 'nothing'" in told
    genser("train", "demo.csv", "--store", store, "--out", head)
    result = genser("score", "demo.csv", "--store", store, "--head", head, "--out", out)
    assert "contaminated: the model behind the features was trained on ['demo']" in result.stderr
    assert read_predictions(out).metadata["contaminated"] == ["demo"]
    genser("report", out, "--out", tmp_path / "r")
    assert "Contaminated: the model behind its features" in (tmp_path / "r/report.md").read_text()
    metrics = json.loads((tmp_path / "r/metrics.json").read_text())
    assert metrics["p"]["contaminated"] == ["demo"]
    words = ["--store", store, "--heads", "linear", "--folds", "2", "--out", tmp_path / "x"]
    assert genser("-S", "train.num_steps=2", "crossval", "demo.csv", *words).exit_code == 0
    genser("report", "--crossval", f"x={tmp_path / 'x'}", "--out", tmp_path / "r2")
    assert "x, linear: contaminated" in (tmp_path / "r2/report.md").read_text()


def test_what_is_derived_from_features_knows_what_they_know():
    parent = {"source": "table", "trained_on": ["meld"]}
    derived = derived_recipe(
        "codes", parent="frames", parent_recipe=parent, fitted_digest="", fit_ids=[], settings={}
    )
    assert trained_on(derived) == {"meld"}
    assert trained_on({"source": "audio"}) == set()
