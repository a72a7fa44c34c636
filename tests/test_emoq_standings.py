"""A single head of EmoQ under the main tables of the paper."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.emoq_study import SEVEN
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.scoring.predictions import Predictions, assemble_predictions

NUM = 140


def said(**metadata: object) -> Predictions:
    labels = np.arange(NUM) % 7
    said = np.where(np.arange(NUM) % 3 == 0, 0, labels)
    probabilities = 0.05 + 0.65 * np.eye(7)[said]
    return assemble_predictions(
        utterance_ids=[f"u{i}" for i in range(NUM)],
        splits=["test"] * NUM,
        labels=[SEVEN[i] for i in labels],
        scores=np.log(probabilities),
        probabilities=probabilities / probabilities.sum(1, keepdims=True),
        errors=[None] * NUM,
        classes=SEVEN,
        metadata={"task": "emotion", "seed": 0, "head_leaks": {}, **metadata},
    )


def of_corpus(folder: Path, corpus: str) -> Manifest:
    ids = [f"u{i}" for i in range(NUM)]
    table = pd.DataFrame({"utterance_id": ids, "path": ids, "corpus": corpus})
    write_manifest(folder / "m.csv", table.assign(speaker=[f"s{i % 15}" for i in range(NUM)]))
    return read_manifest(folder / "m.csv")


def page(folder: Path, predictions: Predictions, manifest: Manifest | None) -> str:
    told = {"encoder": "E", "language": "L"}
    sources = Sources(predictions={"one": predictions}, manifest=manifest, **told)
    write_report(folder / "r", sources, ReportConfig())
    text = (folder / "r/report.md").read_text()
    begin = text.find("## Beside the tables of EmoQ")
    return text[begin : text.index("## How this was made")] if begin >= 0 else ""


def test_a_head_of_seven_classes_of_meld_stands_in_table_3(tmp_path: Path) -> None:
    predictions = said(head_kind="emoq", text_sources=["gold"])
    text = page(tmp_path, predictions, of_corpus(tmp_path, "meld"))
    ours = [line for line in text.splitlines() if "one (ours)" in line]
    assert len(ours) == 1
    frame = predictions.table.to_pandas()
    wa = (frame["label"] == frame["predicted"]).mean()
    assert f"| **one (ours)** | **{wa:.3f} [" in ours[0]
    for told in ("E", "L", "gold", "meld, 7 classes, test", "this report"):
        assert f"**{told}**" in ours[0]
    assert "Table 1: " not in text
    assert "Table 2: " not in text
    metrics = json.loads((tmp_path / "r/metrics.json").read_text())["one"]
    assert metrics["text_sources"] == ["gold"]
    assert "head_text_sources" not in metrics
    assert text.index("Table 3: ") < text.index("one (ours)")


def test_other_texts_than_those_of_training_are_told(tmp_path: Path) -> None:
    predictions = said(head_kind="emoq", text_sources=["model@1"], head_text_sources=["gold"])
    assert "**model@1 (trained on gold)**" in page(
        tmp_path, predictions, of_corpus(tmp_path, "meld")
    )


@pytest.mark.parametrize("corpus", ["nemo", None])
def test_another_corpus_or_an_unknown_one_has_no_such_tables(
    tmp_path: Path, corpus: str | None
) -> None:
    manifest = None if corpus is None else of_corpus(tmp_path, corpus)
    assert page(tmp_path, said(head_kind="emoq"), manifest) == ""
    assert "arXiv" not in (tmp_path / "r/report.md").read_text()


def test_another_head_has_no_such_tables(tmp_path: Path) -> None:
    assert page(tmp_path, said(head_kind="genser"), of_corpus(tmp_path, "meld")) == ""
