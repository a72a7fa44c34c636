import json

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused


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
