import json

import pandas as pd
import pytest

from helpers.commands import genser, refused, write_manifest
from pipeline.manifests.leaks import Leaks
from pipeline.scoring.predictions import read_predictions


def test_predictions_have_every_row_in_manifest_order(here):
    manifest = pd.read_csv("demo.csv")
    table = read_predictions(here / "p.parquet").table.to_pandas()
    assert table["utterance_id"].tolist() == manifest["utterance_id"].tolist()
    assert table["label"].tolist() == manifest["emotion"].tolist()
    assert table["error"].isna().all()


def test_predictions_say_what_they_were_made_with(here):
    metadata = read_predictions(here / "p.parquet").metadata
    head = json.loads((here / "head/head.json").read_text())
    assert metadata["solver"] == "exponential"
    assert metadata["num_steps"] == 4
    assert metadata["seed"] == 0
    assert metadata["task"] == "emotion"
    assert metadata["head_corpora"] == ["demo"]
    assert metadata["leaks"] == Leaks().counts() == head["leaks"]


def test_the_rows_of_a_split_are_scored_as_among_all(here, tmp_path):
    out = tmp_path / "some.parquet"
    words = ["score", "demo.csv", "--store", "store", "--head", "head", "--out", out]
    assert genser(*words, "--split", "test", "--split", "dev").exit_code == 0
    some = read_predictions(out).table.to_pandas()
    every = read_predictions(here / "p.parquet").table.to_pandas()
    wanted = every[every["split"] != "train"].reset_index(drop=True)
    assert set(wanted["split"]) == {"dev", "test"}
    pd.testing.assert_frame_equal(some, wanted, rtol=1e-5)
    report = ["report", out, "--manifest", "demo.csv", "--head", "head", "--out"]
    whole = ["report", here / "p.parquet", "--manifest", "demo.csv", "--head", "head", "--out"]
    assert genser(*report, tmp_path / "some").exit_code == 0
    assert genser(*whole, tmp_path / "every").exit_code == 0
    one, other = (
        json.loads((tmp_path / folder / "metrics.json").read_text())[name]
        for folder, name in (("some", "some"), ("every", "p"))
    )
    assert one["test"] == other["test"]
    assert one["dev"] == other["dev"]


def test_a_split_without_rows_is_refused(here, tmp_path):
    words = ["score", "demo.csv", "--store", "store", "--head", "head", "--split", "eval"]
    result = refused(*words, "--out", tmp_path / "p.parquet")
    assert "demo.csv: no row is of split 'eval', only of ['dev', 'test', 'train']" in result


def test_scoring_twice_gives_the_same_bytes(here, tmp_path):
    out = tmp_path / "again.parquet"
    genser("score", "demo.csv", "--store", "store", "--head", "head", "--out", out)
    assert out.read_bytes() == (here / "p.parquet").read_bytes()


@pytest.mark.parametrize("solver", ["printed", "euler", "exponential"])
@pytest.mark.parametrize("readout", ["estimate", "literal", "state"])
def test_score_parameters_reach_the_sampler(here, tmp_path, solver, readout):
    out = tmp_path / "p.parquet"
    sets = ["-S", f"score.genser.solver={solver}", "-S", f"score.genser.readout={readout}"]
    words = ["score", "demo.csv", "--store", "store", "--head", "head", "--out", out]
    assert genser(*sets, "-S", "score.genser.num_steps=2", *words).exit_code == 0
    metadata = read_predictions(out).metadata
    found = (metadata["solver"], metadata["readout"], metadata["num_steps"])
    assert found == (solver, readout, 2)


def test_a_broken_clip_keeps_its_row_and_exits_with_3(here, tmp_path):
    def with_missing(table):
        table.loc[0, "path"] = "nowhere.wav"
        return table

    manifest = write_manifest(tmp_path / "m.csv", with_missing)
    words = ["extract", manifest, "--audio-root", "demo/audio", "--store", tmp_path / "s"]
    result = genser(*words)
    assert result.exit_code == 3
    assert "1 of 30 clips have no features" in result.stderr
    assert genser(*words, "--max-failed", "0.1").exit_code == 0
    assert (
        genser("train", manifest, "--store", tmp_path / "s", "--out", tmp_path / "h").exit_code == 0
    )
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", tmp_path / "s", "--head", tmp_path / "h", "--out", out)
    table = read_predictions(out).table.to_pandas()
    assert len(table) == 30
    assert table["error"][0].startswith("missing: ")
    assert pd.isna(table["predicted"][0])
    assert table["error"][1:].isna().all()
    shown = genser("inspect", tmp_path / "s").stdout
    assert "missing" in shown


def test_an_unlabelled_row_is_scored_with_a_null_label(here, tmp_path):
    def without_label(table):
        table.loc[1, "emotion"] = ""
        return table

    manifest = write_manifest(tmp_path / "m.csv", without_label)
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", "store", "--head", "head", "--out", out)
    table = read_predictions(out).table.to_pandas()
    assert pd.isna(table["label"][1])
    assert table["predicted"].notna().all()


def test_labels_of_another_corpus_are_told_once_and_mapped_for_scoring(here, tmp_path):
    def theirs(table):
        names = {"sad": "glum", "happy": "joy", "neutral": "odd"}
        return table.assign(corpus="theirs", emotion=table["emotion"].replace(names))

    manifest = write_manifest(tmp_path / "m.csv", theirs)
    out, page = tmp_path / "p.parquet", tmp_path / "r"
    words = ["score", manifest, "--store", "store", "--head", "head", "--out", out]
    told = refused(*words)
    assert told.splitlines()[1:] == [
        f"  {manifest}:{row}: emotion {label!r} (in 6 rows)"
        for row, label in ((4, "joy"), (5, "odd"), (6, "glum"))
    ]
    given = tmp_path / "map.yaml"
    given.write_text(
        "classes: [angry, fearful, happy, sad]\nmap: {joy: happy, glum: sad}\ndrop: [odd]\n"
    )
    assert genser(*words, "--label-map", given).exit_code == 0
    found = read_predictions(out)
    own = read_predictions(here / "p.parquet").frame
    labels = own["label"].mask(own["label"] == "neutral")
    assert found.frame["label"].fillna("").tolist() == labels.fillna("").tolist()
    assert found.frame["predicted"].tolist() == own["predicted"].tolist()
    words = ["report", out, "--manifest", manifest, "--label-map", given, "--out", page]
    result = genser(*words, "--split", "all")
    assert result.exit_code == 0, result.output
    assert "p, all, 24 clips: WA" in result.stdout
    assert "p: all has no clip of neutral, which the head knows" in result.stderr
    metrics = json.loads((page / "metrics.json").read_text())["p"]["all"]
    assert set(metrics["groups"]) == {"gender"}
    text = (page / "report.md").read_text()
    assert "- **Trained on:** demo\n" in text
    assert "- **Scored on:** theirs, all rows: 24 clips of " in text


def test_a_manifest_without_labels_at_all_is_scored(here, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", lambda t: t.drop(columns="emotion"))
    out = tmp_path / "p.parquet"
    words = ["score", manifest, "--store", "store", "--head", "head", "--out", out]
    assert genser(*words).exit_code == 0
    assert read_predictions(out).table["label"].null_count == 30
