"""Labels that are numbers, by the commands: told of files, crossed, dealt, refused by name."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

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


def test_along_a_recording_a_window_is_told_the_number_of_its_own_file(level, tmp_path):
    _, head = level
    clips = sorted(Path("demo/audio").rglob("*.wav"))[:2]
    read = [soundfile.read(clip) for clip in clips]
    num, rate = min(len(samples) for samples, _ in read) // 4 * 4, read[0][1]
    joined = np.concatenate([samples[:num] for samples, _ in read])
    soundfile.write(tmp_path / "long.wav", joined, rate)
    soundfile.write(tmp_path / "second.wav", joined[num:], rate)
    seconds = num / rate
    config = ("-S", f"segments.window_s={seconds}", "-S", f"segments.hop_s={seconds}")
    words = ("--segments", "windows", "--out", tmp_path / "timelines")
    result = genser(*config, "predict", tmp_path / "long.wav", "--head", head, *words)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "timelines/long.wav/timeline.csv")
    np.testing.assert_allclose(table["end"], [seconds, 2 * seconds], atol=1e-6)
    words = ("--head", head, "--json")
    (alone,) = json.loads(genser("predict", tmp_path / "second.wav", *words).stdout)
    assert table["predicted"][1] == pytest.approx(alone["predicted"], abs=1e-2)
    assert abs(table["predicted"][0] - table["predicted"][1]) > 0.1


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


def test_what_numbers_cope_with_and_their_mean_stand_beside_them(level, tmp_path):
    levels, _ = level
    first = "train.head=logreg,train.logreg.input=layer,train.logreg.layer=0"
    words = ["crossval", "demo.csv", "--label-map", levels, "--store", "store", "--folds", 3]
    words += ["--heads", "logreg", "--variant", f"first={first}"]
    told = ["--late-fusion", "both=logreg+first", "--label-noise", 0.4, "--train-speakers", 2]
    words += ["--out", tmp_path / "cv"]
    kind = ("-S", "train.select_by=ccc")
    result = genser(*kind, *words, *told)
    assert result.exit_code == 0, result.output
    assert re.search(r"^both: CCC \d\.\d+ ", result.stdout, re.MULTILINE)
    frame = pd.read_parquet(tmp_path / "cv/predictions.parquet")
    by_system = frame.pivot(index="utterance_id", columns="system", values="predicted")
    np.testing.assert_allclose(
        by_system["both"], (by_system["logreg"] + by_system["first"]) / 2, rtol=1e-12
    )
    assert by_system["logreg"].sub(by_system["first"]).abs().mean() > 0.01
    table = pd.read_csv(tmp_path / "cv/conditions.csv").set_index("system")
    standings = pd.read_csv(tmp_path / "cv/standings.csv").set_index("system")
    assert len(table) == 2 * 3
    for score in ("ccc", "rmse"):
        np.testing.assert_allclose(table[score], standings.loc[table.index, score])
    assert table.loc["first-noise0.4", "difference"] == pytest.approx(
        table.loc["logreg-noise0.4", "ccc"] - table.loc["first-noise0.4", "ccc"], abs=1e-5
    )
    page = tmp_path / "r"
    assert genser("report", "--crossval", f"cv={tmp_path}/cv", "--out", page).exit_code == 0
    text = (page / "report.md").read_text()
    assert "a share of the training labels is another clip's number" in text
    assert "CCC with 95 % intervals that resample speakers; in parentheses the first" in text
    said = refused(*kind, *words, "--new-class", "sad")
    assert "labels of 'emotion' are numbers, and --new-class is for classes; leave it out" in said


def test_corpora_of_numbers_are_crossed_where_their_ranges_meet(level, tmp_path):
    levels, _ = level
    table = pd.read_csv("demo.csv")
    is_other = table["speaker"].isin(sorted(set(table["speaker"]))[::2])
    table["split"] = np.where(np.arange(len(table)) % 4 == 0, "dev", "train")
    table = table.assign(corpus=np.where(is_other, "other", "demo"))
    table.to_csv(tmp_path / "m.csv", index=False)
    words = ["crossval", tmp_path / "m.csv", "--store", "store", "--protocol", "cross-corpus"]
    words += ["--heads", "logreg", "--label-map", levels, "--allow-speaker-overlap"]
    words += ["--out", tmp_path / "cc"]
    kind = ("-S", "train.select_by=ccc")
    result = genser(*kind, *words)
    assert result.exit_code == 0, result.output
    told = "emotion of demo from 1 to 4, of other from 1 to 4; scores take these for one scale"
    assert told in result.stdout
    matrix = pd.read_csv(tmp_path / "cc/matrix.csv")
    frame = pd.read_parquet(tmp_path / "cc/predictions.parquet")
    assert matrix[["trained_on", "tested_on"]].to_numpy().tolist() == [
        ["demo", "other"],
        ["other", "demo"],
    ]
    for row in matrix.itertuples():
        mine = frame[frame["corpus"] == row.tested_on]
        assert len(mine) == row.clips
        x, y = mine["label"], mine["predicted"]
        spread = x.var(ddof=0) + y.var(ddof=0) + (x.mean() - y.mean()) ** 2
        assert row.ccc == pytest.approx(2 * np.cov(x, y, ddof=0)[0, 1] / spread, abs=1e-5)
        assert row.pearson == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)
        assert row.rmse == pytest.approx(np.sqrt(((x - y) ** 2).mean()), abs=1e-5)
    page = tmp_path / "r"
    assert genser("report", "--crossval", f"cc={tmp_path}/cc", "--out", page).exit_code == 0
    assert f"{matrix['ccc'][0]:.3f}" in (page / "report.md").read_text()
    apart = table.assign(level=np.where(is_other, 10.0, 1.0) + np.arange(len(table)) % 5)
    apart.to_csv(tmp_path / "m.csv", index=False)
    levels.write_text("numbers: true\n")
    said = refused(*kind, *words, "--task", "level")
    assert "level of demo is from 1 to 5, of other from 10 to 14, wanted one scale" in said
    apart["level"] = apart["level"].where(~is_other)
    apart.to_csv(tmp_path / "m.csv", index=False)
    assert "other has no number of 'level', wanted some" in refused(
        *kind, *words, "--task", "level"
    )
