"""Published rows: those that the papers print, from the papers, and only where they belong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.report.beside_published import COMPARED
from pipeline.report.published_genser import GENDER, MELD, MELD_ELSEWHERE, STEPS
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.report.tables import steps_table
from pipeline.scoring.predictions import Predictions, assemble_predictions

# Accuracies in percent, as Gen-SER's Tables 1 and 2 print them.
TABLE_1 = {
    "WavLM + CLS": 50.6,
    "Hubert + CLS": 53.4,
    "emotion2vec": 51.9,
    "Qwen-audio": 55.7,
    "Qwen2-audio": 55.3,
    "OSUM": 53.4,
    "SenseVoice-L": 63.1,
    "Gen-SER": 56.5,
}
TABLE_2 = {
    "Fbank + CLS": 86.6,
    "WavLM + CLS": 87.5,
    "Qwen2-audio": 79.3,
    "Qwen-audio Turbo": 82.5,
    "Soundwave": 90.3,
    "Gen-SER": 90.5,
}


@pytest.mark.parametrize(("table", "printed"), [(MELD, TABLE_1), (GENDER, TABLE_2)])
def test_every_row_of_a_table_is_kept_with_the_paper_as_its_source(table, printed) -> None:
    assert {row.system: round(100 * row.wa, 1) for row in table.rows} == printed
    assert all(row.source.startswith("arXiv 2601.20573, Table ") for row in table.rows)


def test_accuracy_over_steps_is_kept_and_stands_above_ours_of_the_same_clips_only() -> None:
    assert STEPS == {1: 0.5613, 2: 0.5617, 4: 0.5625, 10: 0.5628, 20: 0.5644}
    scores = {f"{name}{end}": 0.5 for name in ("wa", "ua") for end in ("", "_low", "_high")}
    found = pd.DataFrame(
        [
            {"solver": "euler", "readout": "state", "num_steps": n, "num_clusters": 12, **scores}
            for n in STEPS
        ]
    )
    ours = steps_table(found, is_of_meld=False)
    assert ours.frame["score"].tolist() == ["WA", "UA"]
    assert ours.is_folded
    both = steps_table(found, is_of_meld=True).frame
    assert both["solver"][0].startswith("arXiv 2601.20573, Table 3: MELD")
    assert both.loc[0, "N = 20"] == "0.5644"
    assert both[1:].reset_index(drop=True).equals(ours.frame)


def said(num_classes: int, task: str) -> Predictions:
    classes = [f"c{i}" for i in range(num_classes)]
    labels = np.arange(84) % num_classes
    probabilities = np.full((84, num_classes), 0.3 / (num_classes - 1))
    probabilities[np.arange(84), labels] = 0.7
    return assemble_predictions(
        utterance_ids=[f"u{i}" for i in range(84)],
        splits=["test"] * 84,
        labels=[classes[i] for i in labels],
        scores=np.log(probabilities),
        probabilities=probabilities,
        errors=[None] * 84,
        classes=classes,
        metadata={"task": task, "seed": 0, "head_corpora": ["tess"]},
    )


def of_corpus(folder: Path, corpus: str) -> Manifest:
    ids = [f"u{i}" for i in range(84)]
    table = pd.DataFrame({"utterance_id": ids, "path": ids, "corpus": corpus})
    write_manifest(folder / "m.csv", table.assign(speaker=[f"s{i % 12}" for i in range(84)]))
    return read_manifest(folder / "m.csv")


@pytest.mark.parametrize(
    ("corpus", "task", "num_classes", "titles"),
    [
        (
            "meld",
            "emotion",
            7,
            ["(Gen-SER, Table 1)", "told elsewhere", "EmoQ, Table 3", "EmoQ, Table 4", "descript"],
        ),
        ("meld", "emotion", 4, ["EmoQ, Table 2", "descriptors on meld"]),
        ("iemocap", "emotion", 4, ["EmoQ, Table 1", "descriptors on iemocap"]),
        ("air-bench-gender", "gender", 2, ["(Gen-SER, Table 2)"]),
        ("meld", "gender", 2, []),
        ("demo", "emotion", 7, []),
    ],
)
def test_published_tables_are_shown_where_task_corpus_and_classes_are_theirs(
    tmp_path: Path, corpus: str, task: str, num_classes: int, titles: list[str]
) -> None:
    one = said(num_classes, task)
    manifest = of_corpus(tmp_path, corpus)
    sources = Sources(predictions={"one": one}, manifest=manifest, encoder="E")
    write_report(tmp_path / "r", sources, ReportConfig())
    text = (tmp_path / "r/report.md").read_text()
    assert ("## Beside published numbers" in text) == bool(titles)
    shown = [table for table in COMPARED if f"{table.title}." in text]
    assert len(shown) == len(titles)
    assert all(part in table.title for part, table in zip(titles, shown, strict=True))
    lines = text.splitlines()
    for table in shown:
        for row in table.rows:
            assert any(
                line.startswith(f"| {row.system} |") and row.source in line for line in lines
            )
    ours = [line for line in lines if line.startswith("| **one (ours)**")]
    assert len(ours) == len(titles)
    assert all("| **E** | **tess** | **this report** |" in line for line in ours)


def test_other_rows_than_those_of_test_stand_under_no_published_ones(tmp_path: Path) -> None:
    one = said(7, "emotion")
    frame = one.table.to_pandas()
    dev = one.table.set_column(1, one.table.schema.field(1), [["dev"] * len(frame)])
    sources = Sources(
        predictions={"one": Predictions(table=dev, classes=one.classes, metadata=one.metadata)},
        manifest=of_corpus(tmp_path, "meld"),
    )
    write_report(tmp_path / "r", sources, ReportConfig(split="dev"))
    assert "(Gen-SER, Table 1)" not in (tmp_path / "r/report.md").read_text()


def test_meld_s_majority_rate_is_published_as_counted() -> None:
    row = next(row for row in MELD_ELSEWHERE.rows if row.system == "always neutral")
    assert row.wa == pytest.approx(0.4812, abs=1e-4)
