import json
import platform
import re

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused, write_manifest
from pipeline.experiments import running
from pipeline.manifests.manifest import read_manifest
from pipeline.scoring.predictions import read_predictions


def test_metrics_are_those_of_the_predictions(here):
    table = read_predictions(here / "p.parquet").table.to_pandas()
    metrics = json.loads((here / "report/metrics.json").read_text())["p"]
    for split in ("train", "dev", "test"):
        rows = table[table["split"] == split]
        assert metrics[split]["wa"] == pytest.approx((rows.label == rows.predicted).mean())
    confusion = pd.read_csv(here / "report/confusion_p.csv")
    test = table[table["split"] == "test"]
    assert confusion["actual"].tolist() == test["label"].tolist()
    assert confusion["predicted"].tolist() == test["predicted"].tolist()
    assert (here / "report/confusion_p.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_test_split_has_no_report(here, tmp_path):
    manifest = write_manifest(tmp_path / "m.csv", lambda t: t[t["split"] != "test"])
    out = tmp_path / "p.parquet"
    genser("score", manifest, "--store", "store", "--head", "head", "--out", out)
    assert "no row of split 'test'" in refused("report", out, "--out", tmp_path / "r")
    words = ["-S", "report.split=dev", "report", out, "--out", tmp_path / "r"]
    assert genser(*words).exit_code == 0


def test_an_interval_is_of_the_draws_that_are_asked_for(here, tmp_path):
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--out", tmp_path]
    assert genser("-S", "report.draws=100", *words).exit_code == 0
    frame = read_predictions(here / "p.parquet").frame
    test = frame[frame["split"] == "test"].sort_values("utterance_id")
    speakers = read_manifest(here / "demo.csv").table.set_index("utterance_id")["speaker"]
    names, of_row = np.unique(speakers[test["utterance_id"]], return_inverse=True)
    weights = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=100
    )[:, of_row]
    drawn = (weights * (test["label"] == test["predicted"]).to_numpy()).sum(1) / weights.sum(1)
    found = json.loads((tmp_path / "metrics.json").read_text())["p"]["test"]["interval"]["wa"]
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())
    assert "report.draws: 7 is not from 100" in refused("-S", "report.draws=7", *words)


def test_a_report_of_head_and_store_shows_layers_steps_and_the_way(here, tmp_path):
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--head", "head", "--store", "store"]
    result = genser(*words, "--out", tmp_path / "r")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "r/report.md").read_text()
    for title in (
        "Scores",
        "Class by class",
        "How far to believe it",
        "How it learned",
        "What each layer knows",
        "Number of steps",
        "One clip on its way",
        "Data",
        "How this was made",
    ):
        assert f"## {title}" in text
    # The demo is nobody's corpus: no published row stands beside it.
    assert "Beside published numbers" not in text
    assert "- **Command:** genser report p.parquet --manifest demo.csv --head head" in text
    assert re.search(r"- \*\*Date:\*\* \d{4}-\d\d-\d\d\n", text)
    assert f"- **Versions:** python {platform.python_version()}, genser " in text
    assert re.search(r"- \*\*Training:\*\* head genser, \d+ steps, batches of \d+ clips, ", text)
    assert re.search(r"- \*\*Trained on:\*\* demo, \d+ clips\n", text)
    assert (tmp_path / "r/report.html").stat().st_size > 100_000
    assert len(pd.read_csv(tmp_path / "r/steps.csv")) == 45


def test_a_report_trains_what_its_head_is_compared_with(here, tmp_path, monkeypatch):
    trained, train_rows = [], running.train_rows

    def counts(*args, **kwargs):
        trained.append(kwargs["config"].head)
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(running, "train_rows", counts)
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--head", "head", "--store", "store"]
    words += ["--against", "logreg,linear", "--out", tmp_path]
    result = genser(*words, "--variant", "soft=train.head=linear,train.linear.dropout=0.9")
    assert result.exit_code == 0, result.output
    assert trained == ["logreg", "linear", "linear"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert sorted(metrics) == ["linear", "logreg", "p", "soft"]
    page = (tmp_path / "report.md").read_text()
    assert "p against" in page
    assert "| soft |" in page
    assert not (tmp_path / "confusion_soft.png").exists()
    # What is wanted again is kept, what is not goes.
    result = genser(*words)
    assert result.exit_code == 0, result.output
    assert len(trained) == 3
    assert sorted(path.parent.name for path in (tmp_path / "runs").rglob("*.parquet")) == [
        "linear",
        "logreg",
    ]
