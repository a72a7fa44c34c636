"""Labels that are numbers, by the commands: told of loose files, dealt, and refused by name."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.scoring.predictions import read_predictions
from pipeline.store.reader import FeatureStore

LEVELS = """
numbers: true
map: {angry: "4", happy: "3.5", fearful: "3", neutral: "2", sad: "1"}
drop: [disgust, surprised, calm]
"""


@pytest.fixture
def level(here: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A map that makes numbers of the demo's emotions, and a head that has learnt them."""
    levels, head = tmp_path / "level.yaml", tmp_path / "head"
    levels.write_text(LEVELS)
    words = ("--label-map", levels, "--store", "store", "--out", head)
    kind = ("-S", "train.head=logreg", "-S", "train.select_by=ccc")
    result = genser(*kind, "train", "demo.csv", *words)
    assert result.exit_code == 0, result.output
    return levels, head


def test_a_loose_file_is_told_the_number_that_it_was_scored_with(level, tmp_path):
    _, head = level
    scored, out = tmp_path / "p.parquet", tmp_path / "out.csv"
    genser("score", "demo.csv", "--store", "store", "--head", head, "--out", scored)
    numbers = read_predictions(scored).frame.set_index("utterance_id")["predicted"]
    manifest = pd.read_csv("demo.csv").iloc[:3]
    clips = [Path("demo/audio") / path for path in manifest["path"]]
    expected = numbers[manifest["utterance_id"]].to_numpy()
    assert np.ptp(expected) > 0
    result = genser("predict", *clips, "--head", head, "--out", out)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out)
    np.testing.assert_allclose(table["predicted"], expected, atol=1e-2)
    assert not [column for column in table if column.startswith("probability.")]
    (alone,) = json.loads(genser("predict", clips[0], "--head", head, "--json").stdout)
    assert alone["predicted"] == pytest.approx(expected[0], abs=1e-2)
    assert alone["probabilities"] == {}
    assert genser("predict", clips[0], "--head", head).stdout.startswith(f"{clips[0]}: ")
    shown = genser("inspect", head).stdout
    assert re.search(r"^scale +low 1, high 4$", shown, re.MULTILINE)
    assert "\nclasses" not in shown


def test_all_rows_of_another_corpus_are_reported_and_its_own_are_not(level, tmp_path):
    levels, head = level
    other, scored, report = (tmp_path / name for name in ("o.csv", "p.parquet", "report"))
    pd.read_csv("demo.csv").assign(corpus="other", split="").to_csv(other, index=False)
    words = ("--store", "store", "--head", head, "--out", scored)
    shown = ("report", scored, "--split", "all", "--label-map", levels, "--out", report)
    genser("score", "demo.csv", *words)
    assert "its head was trained on rows of 'demo'" in refused(*shown, "--manifest", "demo.csv")
    genser("score", other, *words)
    result = genser(*shown, "--manifest", other, "--head", head, "--store", "store")
    assert result.exit_code == 0, result.output
    metrics = json.loads((report / "metrics.json").read_text())["p"]
    assert metrics["all"]["num_clips"] == len(pd.read_csv(other))
    assert 0 < metrics["all"]["rmse"] == pytest.approx(metrics["unsplit"]["rmse"])


def test_labels_of_the_other_kind_are_refused_by_both_kinds_of_head(level, tmp_path):
    levels, head = level
    words = ("--store", "store", "--out", tmp_path / "p.parquet")
    classes = tmp_path / "classes.yaml"
    names = sorted(set(pd.read_csv("demo.csv")["emotion"]))
    classes.write_text(f"classes: [{', '.join(names)}]\n")
    told = refused("score", "demo.csv", *words, "--head", head, "--label-map", classes)
    assert "the label map makes classes of 'emotion', and this head says numbers" in told
    told = refused("score", "demo.csv", *words, "--head", "head", "--label-map", levels)
    assert "the label map makes numbers of 'emotion', and this head says classes" in told


def test_timelines_are_of_classes(level, tmp_path):
    _, head = level
    clip = next(Path("demo/audio").rglob("*.wav"))
    words = ("--segments", "windows", "--out", tmp_path / "timelines")
    told = refused("predict", clip, "--head", head, *words)
    assert "a timeline is of classes, and this head says numbers" in told


def test_an_onnx_file_says_the_numbers_that_score_says(level, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    _, head = level
    path, scored = tmp_path / "h.onnx", tmp_path / "p.parquet"
    assert "layers to numbers, " in genser("export", head, "--onnx", path).stdout
    session = onnxruntime.InferenceSession(path)
    genser("score", "demo.csv", "--store", "store", "--head", head, "--out", scored)
    table = read_predictions(scored).frame.dropna(subset="predicted")
    layers = FeatureStore.open(Path("store")).view("layers").read(table["utterance_id"].tolist())
    _, found = session.run(["scores", "numbers"], {"layers": layers.astype(np.float32)})
    np.testing.assert_allclose(found, table["predicted"], rtol=1e-4)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["scale"]) == {"low": 1.0, "high": 4.0}
    uniform = ("-S", "score.prior=uniform", "export", head, "--onnx", tmp_path / "u.onnx")
    assert "score.prior: 'uniform' is for classes, and this head says numbers" in refused(*uniform)


def test_parts_of_numbers_lack_thirds_not_each_number(here, tmp_path):
    table = pd.read_csv("demo.csv")
    table["level"] = table.groupby("speaker").cumcount() + 1.5
    table.to_csv(tmp_path / "every.csv", index=False)
    table.loc[table["split"] == "dev", "level"] = 1.5
    table.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "level.yaml").write_text("numbers: true\n")
    words = ("--task", "level", "--label-map", tmp_path / "level.yaml")
    result = genser("audit", tmp_path / "m.csv", *words, "--out", tmp_path / "audit")
    assert "dev lacks high third, middle third, which train has" in result.output
    result = genser("split", tmp_path / "every.csv", *words, "-o", tmp_path / "s.csv")
    assert result.exit_code == 0, result.output
    assert "lacks" not in result.output


def test_layers_are_probed_and_fine_tuning_reckoned_of_numbers(level, tmp_path):
    levels, _ = level
    words = ("--label-map", levels, "--out", tmp_path / "out")
    result = genser("probe", "demo.csv", "--store", "store", *words)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out/probe.csv")
    best = table["dev_ccc"].idxmax()
    assert f"best on dev: layer {best}, CCC {table['dev_ccc'][best]:.3f}" in result.stdout
    tuned = ("-S", "finetune.encoder=demo/encoder", "finetune", "demo.csv")
    result = genser(*tuned, "--audio-root", "demo/audio", *words, "--dry-run")
    assert " training clips, numbers; " in result.stdout


def test_a_card_has_the_scores_of_numbers(level, tmp_path):
    _, head = level
    scored, report = tmp_path / "p.parquet", tmp_path / "report"
    genser("score", "demo.csv", "--store", "store", "--head", head, "--out", scored)
    words = ("--manifest", "demo.csv", "--head", head, "--store", "store", "--out", report)
    genser("report", scored, *words)
    found = json.loads((report / "metrics.json").read_text())["p"]["test"]
    page = (report / "report.md").read_text()
    assert "A ridge regression on one layer at a time" in page
    assert "## Groups" in page
    assert "it was fitted to them at once, without steps" in page
    assert not (report / "learning.png").exists()
    words = ("--predictions", scored, "--manifest", "demo.csv", "--dry-run")
    result = genser("publish", head, "me/levels", *words)
    assert result.exit_code == 0, result.output
    assert f"| CCC, concordance | {found['ccc']:.3f} | " in result.stdout
    assert "always saying their mean has an RMSE of" in result.stdout
    assert "type: pearsonr" in result.stdout
