import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from helpers.pages import parsed
from pipeline.errors import ParamsError, PredictionsError
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.report.making import Making
from pipeline.report.measures import lacking_texts, measure
from pipeline.report.page import HTML, MARKDOWN
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.report.tables import prediction_table, with_others
from pipeline.scoring.predictions import Predictions, assemble_predictions, write_predictions

CLASSES = ("angry", "calm", "sad")
SPLITS = ("train", "dev", "test", "test")


def predictions(skill: float = 0.6, num: int = 120, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    probabilities = generator.dirichlet(np.ones(3), num)
    is_right = np.random.default_rng(1).random(num) < skill
    probabilities[is_right] = 0.1 + 0.7 * np.eye(3)[labels[is_right]]
    return assemble_predictions(
        utterance_ids=[f"u{i}" for i in range(num)],
        splits=[SPLITS[i % 4] for i in range(num)],
        labels=[CLASSES[i] for i in labels],
        scores=np.log(probabilities),
        probabilities=probabilities,
        errors=[None] * num,
        classes=CLASSES,
        metadata={"task": "mood", "seed": 0, "head_leaks": {"shared_speakers": 2}},
    )


@pytest.fixture
def manifest(tmp_path: Path):
    ids = [f"u{i}" for i in range(120)]
    table = pd.DataFrame({"utterance_id": ids, "path": ids, "corpus": "c"})
    table["speaker"] = [f"s{i % 15}" for i in range(120)]
    write_manifest(tmp_path / "m.csv", table)
    return read_manifest(tmp_path / "m.csv")


def test_the_page_needs_no_other_file_and_its_links_lead_somewhere(tmp_path, manifest) -> None:
    sources = Sources(predictions={"one": predictions()}, manifest=manifest)
    write_report(tmp_path / "r", sources, ReportConfig())
    page = parsed(tmp_path / "r" / HTML)
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "script" not in page.names
    assert "link" not in page.names


def test_the_same_input_gives_the_same_page(tmp_path, manifest) -> None:
    for folder in ("a", "b"):
        sources = Sources(predictions={"one": predictions()}, manifest=manifest)
        write_report(tmp_path / folder, sources, ReportConfig())
    for name in (HTML, MARKDOWN, "metrics.json", "standings.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_metrics_gain_intervals_of_resampled_speakers(tmp_path, manifest) -> None:
    one = predictions()
    sources = Sources(predictions={"one": one}, manifest=manifest)
    metrics = write_report(tmp_path / "r", sources, ReportConfig())["one"]
    found = metrics["test"]
    assert found["num_clusters"] == 15
    low, high = found["interval"]["ua"]
    assert low < found["ua"] < high
    assert {"ece", "brier", "nll"} <= set(found)
    plain = measure(one)
    assert plain["test"] == {key: found[key] for key in plain["test"]}
    text = (tmp_path / "r" / MARKDOWN).read_text()
    assert "resamples 15 speakers." in text
    assert f"{found['ua']:.3f} [{low:.3f}, {high:.3f}]" in text
    assert "2 speakers were in more than one split when it was trained." in text


def test_classes_of_the_head_that_nobody_has_are_said(tmp_path: Path) -> None:
    one = predictions()
    rows = one.table.filter(pc.not_equal(one.table["label"], "calm"))
    sources = Sources(predictions={"one": replace(one, table=rows)})
    metrics = write_report(tmp_path / "r", sources, ReportConfig())
    assert metrics["one"]["test"]["lacking"] == ["calm"]
    text = "one: test has no clip of calm, which the head knows; its UA is over the other classes."
    assert text in (tmp_path / "r" / MARKDOWN).read_text()
    assert lacking_texts(metrics, "test") == [text]
    assert measure(one)["test"]["lacking"] == []


def test_without_a_manifest_clips_are_resampled_and_that_is_said(tmp_path: Path) -> None:
    write_report(tmp_path / "r", Sources(predictions={"one": predictions()}), ReportConfig())
    assert "resamples 60 clips." in (tmp_path / "r" / MARKDOWN).read_text()


def test_few_speakers_are_told_beside_the_interval(tmp_path, manifest) -> None:
    table = manifest.table.assign(speaker=[f"s{i % 3}" for i in range(120)])
    write_manifest(tmp_path / "few.csv", table)
    few = read_manifest(tmp_path / "few.csv")
    sources = Sources(predictions={"one": predictions()}, manifest=few)
    write_report(tmp_path / "r", sources, ReportConfig())
    text = (tmp_path / "r" / MARKDOWN).read_text()
    assert "resamples 3 speakers. Fewer than 10 were resampled: the ends say little." in text


def test_systems_are_compared_with_the_first_and_others_join(tmp_path, manifest) -> None:
    strong, weak = predictions(0.9), predictions(0.3)
    truth = strong.table.to_pandas()[["utterance_id", "label"]]
    truth.rename(columns={"label": "predicted"}).to_csv(tmp_path / "oracle.csv", index=False)
    write_predictions(tmp_path / "other.parquet", weak)
    sources = Sources(
        predictions={"strong": strong, "weak": weak},
        manifest=manifest,
        others={"oracle": tmp_path / "oracle.csv", "again": tmp_path / "other.parquet"},
    )
    write_report(tmp_path / "r", sources, ReportConfig())
    standings = pd.read_csv(tmp_path / "r" / "standings.csv").set_index("system")
    assert list(standings.index) == ["strong", "weak", "oracle", "again"]
    assert standings.loc["oracle", "ua"] == 1.0
    assert standings.loc["again", "ua"] == standings.loc["weak", "ua"]
    assert np.isnan(standings.loc["oracle", "ece"])
    text = (tmp_path / "r" / MARKDOWN).read_text()
    assert any(
        line.startswith("| weak | +0.") and "| better |" in line for line in text.splitlines()
    )
    assert any(
        line.startswith("| oracle | -0.") and "| not shown to be as good |" in line
        for line in text.splitlines()
    )


def test_each_corpus_is_measured_alone_where_there_are_several(tmp_path, manifest) -> None:
    table = manifest.table.assign(corpus=["a" if i % 4 == 2 else "b" for i in range(120)])
    write_manifest(tmp_path / "two.csv", table)
    two = read_manifest(tmp_path / "two.csv")
    one = predictions()
    write_report(tmp_path / "r", Sources(predictions={"one": one}, manifest=two), ReportConfig())
    standings = pd.read_csv(tmp_path / "r" / "standings.csv", keep_default_na=False)
    assert standings[["system", "corpus", "clips"]].to_numpy().tolist() == [
        ["one", "", 60],
        ["one", "a", 30],
        ["one", "b", 30],
    ]
    frame = one.table.to_pandas()[2::4]
    right = frame["label"] == frame["predicted"]
    assert float(standings["wa"][1]) == pytest.approx(right.mean(), abs=1e-6)
    text = (tmp_path / "r" / MARKDOWN).read_text()
    assert "By corpus." in text
    assert "By gender." not in text
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())["one"]["test"]["groups"]
    assert metrics["corpus"]["groups"]["a"]["wa"] == pytest.approx(float(standings["wa"][1]))
    assert metrics["corpus"]["gap"]["ua"]["best"] in ("a", "b")


def test_all_rows_are_measured_but_not_those_of_a_corpus_that_was_trained_on(
    tmp_path, manifest
) -> None:
    one = predictions()
    known = replace(one, metadata={**one.metadata, "head_corpora": ["other"]})
    sources = Sources(predictions={"one": known}, manifest=manifest)
    found = write_report(tmp_path / "r", sources, ReportConfig(split="all"))["one"]["all"]
    assert (found["num_clips"], found["num_clusters"]) == (120, 15)
    frame = one.frame
    assert found["wa"] == pytest.approx((frame["label"] == frame["predicted"]).mean())
    trained = replace(one, metadata={**one.metadata, "head_corpora": ["c"]})
    sources = Sources(predictions={"one": trained}, manifest=manifest)
    with pytest.raises(PredictionsError, match="its head was trained on rows of 'c', and 'all'"):
        write_report(tmp_path / "r", sources, ReportConfig(split="all"))


def test_the_page_begins_with_a_verdict_and_says_what_was_trained_on_and_scored(
    tmp_path, manifest
) -> None:
    one = predictions()
    known = replace(one, metadata={**one.metadata, "head_corpora": ["emodb", "tess"]})
    sources = Sources(predictions={"one": known}, manifest=manifest)
    write_report(tmp_path / "r", sources, ReportConfig())
    lines = (tmp_path / "r" / MARKDOWN).read_text().splitlines()
    assert lines[0] == "# mood: one on test"
    assert lines[2].startswith("**Above the commonest class on c: 0.")
    assert "- **Trained on:** emodb, tess" in lines
    assert "- **Scored on:** c, test: 60 clips of 15 speakers" in lines
    assert "- **Tells apart:** angry, calm, sad" in lines
    # Older files do not tell what their head was trained on.
    write_report(tmp_path / "r", Sources(predictions={"one": one}), ReportConfig())
    lines = (tmp_path / "r" / MARKDOWN).read_text().splitlines()
    assert "- **Trained on:** not told" in lines
    assert "- **Scored on:** a corpus that is not told, test: 60 clips" in lines


def test_how_it_was_made_is_said_in_words(tmp_path, manifest) -> None:
    stamps = {
        "head": "e3b0c44298fc",
        "head_kind": "genser",
        "num_steps": 4,
        "solver": "exponential",
        "prior": "train",
        "mask_classes": True,
        "recipes": {"layers": "bb8168cb"},
        "leaks": {"shared_speakers": 0},
        "scale_ends": [1, 5],
    }
    one = replace(predictions(), metadata={**predictions().metadata, **stamps})
    making = Making(command="genser report p", date="2026-01-02", versions={"genser": "9"})
    sources = Sources(predictions={"one": one}, manifest=manifest, making=making)
    write_report(tmp_path / "r", sources, ReportConfig())
    text = (tmp_path / "r" / MARKDOWN).read_text()
    made = text[text.index("## How this was made") :].splitlines()
    assert "- **Command:** genser report p" in made
    assert "- **Date:** 2026-01-02" in made
    assert "- **Versions:** genser 9" in made
    assert (
        "- **Scoring: one:** head genser trained on not told, seed 0, 4 steps, solver exponential, "
        "shares of classes as in training, classes that a corpus lacks in training are ruled out, "
        "scale ends 1 and 5" in made
    )
    assert not any(strange in text for strange in ("e3b0c44", "bb8168cb", "{", "['"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("utterance_id,said\nu0,sad\n", "is no Parquet or CSV with the columns utterance_id and"),
        ("utterance_id,predicted\nu2,sad\n", "has no prediction for 59 of 60 clips, e.g. 'u3'"),
        ("utterance_id,predicted\nu2,sad\nu2,sad\n", "predicts 'u2' twice; keep one row for each"),
    ],
)
def test_foreign_predictions_that_do_not_fit_are_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    table = prediction_table({"one": predictions()}, "test", None, None)
    with pytest.raises(PredictionsError) as caught:
        with_others(table, {"other": path})
    assert message in str(caught.value)


def test_foreign_classes_and_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    table = prediction_table({"one": predictions()}, "test", None, None)
    path = tmp_path / "other.csv"
    table[["utterance_id"]].assign(predicted="glum").to_csv(path, index=False)
    with pytest.raises(PredictionsError, match=r"predicts 'glum', wanted one of \['angry', 'calm'"):
        with_others(table, {"other": path})
    with pytest.raises(PredictionsError, match="--with one: there is a system of that name"):
        with_others(table, {"one": path})


def test_a_manifest_of_other_utterances_is_refused(tmp_path: Path, manifest) -> None:
    write_manifest(tmp_path / "half.csv", manifest.table[:60])
    half = read_manifest(tmp_path / "half.csv")
    with pytest.raises(
        PredictionsError, match=r"lacks 30 of the predicted utterances, e\.g\. 'u62'"
    ):
        prediction_table({"one": predictions()}, "test", half, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "every"}, r"report\.split: 'every' is not one of"),
        ({"cluster": "word"}, r"report\.cluster: 'word' is not one of"),
        ({"draws": 99}, r"report\.draws: 99 is not from 100 to 100000"),
        ({"margin": -0.1}, r"report\.margin: -0\.1 is not from 0 to below 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        ReportConfig(**settings)
