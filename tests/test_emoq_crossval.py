"""EmoQ in a cross-validation: what it says of each system, and the page of it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import genser
from helpers.emoq import make
from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.experiments.crossval import RUNS, require_own_texts
from pipeline.experiments.plan import System
from pipeline.experiments.systems import systems_table
from pipeline.heads.needs import Need
from pipeline.manifests.manifest import read_manifest
from pipeline.scoring.predictions import read_predictions
from pipeline.scoring.score import ScoreConfig
from pipeline.training.config import TrainConfig
from stages.params import Params
from stages.systems import system_of

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

SECTION = """
train:
  head: emoq
  num_steps: 2
  batch_size: 8
  eval_every: 2
  frames_in: memory
  emoq:
    language: {language}
    base_dtype: float32
    num_queries: 3
    cross_every: 1
    pooling_heads: 2
    former_width: 16
    former_blocks: 1
    former_heads: 2
    stage1_steps: 2
"""
TRIALS = """
whole: {train.emoq.mal: both}
text: {train.emoq.input: text}
audio: {train.emoq.input: audio}
one: {train.emoq.stage1_steps: 0}
bar:
  train.head: tokens
  train.tokens.input: frames
  train.tokens.view: frames
  train.tokens.width: 8
  train.tokens.hidden: 8
  train.tokens.num_heads: 2
  train.tokens.acoustics: ""
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emoq")
    made = make(folder, 40)
    (folder / "params.yaml").write_text(SECTION.replace("{language}", str(made.language)))
    (folder / "trials.yaml").write_text(TRIALS)
    return folder


def crossval(here: Path, out: Path):
    words = ["--params", here / "params.yaml", "crossval", here / "folds.csv"]
    words += ["--store", here / "store", "--heads", "", "--variant", here / "trials.yaml"]
    return genser(*words, "--seeds", "0", "--out", out)


@pytest.fixture(scope="module")
def studied(here: Path) -> Path:
    done = genser("split", here / "m.csv", "--folds", "2", "-o", here / "folds.csv")
    assert done.exit_code == 0, done.output
    done = crossval(here, here / "cv")
    assert done.exit_code == 0, done.output
    return here / "cv"


def test_each_system_says_what_it_reads_and_of_whom(studied: Path) -> None:
    facts = pd.read_csv(studied / "systems.csv", keep_default_na=False).set_index("system")
    assert facts["input"].to_dict() == {
        "whole": "emoq",
        "text": "text",
        "audio": "audio",
        "one": "emoq",
        "bar": "frames",
    }
    assert (facts.loc[["whole", "text", "audio", "one"], "language"] != "").all()
    assert facts["former"].tolist() == ["random", "", "random", "random", ""]
    assert facts["mal"].tolist() == ["both", "", "both", "", ""]
    steps = facts.loc[["whole", "text", "audio", "one"], "stage1_steps"]
    assert steps.astype("float64").tolist() == [2, 0, 2, 0]
    assert facts["text_sources"].tolist() == ["gold", "gold", "", "gold", ""]
    assert facts.loc["text", "views"] == ""


def test_recognised_and_given_texts_stand_in_one_table(here: Path, studied: Path) -> None:
    """What reads the given texts is, to the byte, what a manifest without a recogniser's gives."""
    table = pd.read_csv(here / "folds.csv", dtype="str", keep_default_na=False)
    heard = table.assign(text="and so on", text_given=table["text"], text_source="asr@12")
    heard.to_csv(here / "heard.csv", index=False)
    (here / "both.yaml").write_text("whole: {train.emoq.mal: both}\ngold: {texts: gold}\n")
    words = ["--params", here / "params.yaml", "crossval", here / "heard.csv"]
    words += ["--store", here / "store", "--heads", "", "--variant", here / "both.yaml"]
    done = genser(*words, "--seeds", "0", "--out", here / "heard")
    assert done.exit_code == 0, done.output
    facts = pd.read_csv(here / "heard" / "systems.csv").set_index("system")
    assert facts["text_sources"].to_dict() == {"whole": "asr@12", "gold": "gold"}
    for fold in ("1", "2"):
        gold, other, alone = (
            scores_in(folder / RUNS / name / f"{fold}-0.parquet")
            for folder, name in (
                (here / "heard", "gold"),
                (here / "heard", "whole"),
                (studied, "whole"),
            )
        )
        pd.testing.assert_frame_equal(gold, alone)
        assert not gold.equals(other)


def scores_in(path: Path) -> pd.DataFrame:
    table = read_predictions(path).table.to_pandas()
    return table[[name for name in table if name.startswith("score")]]


def test_texts_that_nobody_gave_are_refused(here: Path) -> None:
    table = pd.read_csv(here / "folds.csv", dtype="str", keep_default_na=False)
    table.assign(text_source="asr@12").to_csv(here / "none.csv", index=False)
    (here / "gold.yaml").write_text("gold: {texts: gold}\n")
    words = ["--params", here / "params.yaml", "crossval", here / "none.csv"]
    words += ["--store", here / "store", "--heads", "", "--variant", here / "gold.yaml"]
    done = genser(*words, "--out", here / "none")
    assert done.exit_code == 1
    assert "none.csv: no row has a text that its corpus gives" in done.output


def test_a_view_of_texts_is_of_one_writer() -> None:
    params = Params(None, ("train.head=logreg", "train.logreg.view=said"))
    one = system_of(params)
    require_own_texts({"one": one}, {"said": "text"})
    require_own_texts({"one": replace(one, texts="gold")}, {"other": "text"})
    with pytest.raises(ParamsError, match=r"one: texts: gold is .* view 'said' was made of 'text'"):
        require_own_texts({"one": replace(one, texts="gold")}, {"said": "text"})


def test_a_view_of_texts_says_whose_they_are(here: Path, monkeypatch) -> None:
    """As the sentence vectors of a text encoder, which no head of the catalogue reads as text."""
    features = StoredFeatures(read_manifest(here / "m.csv"), {"": here / "store"}, ["frames"])
    systems = {"one": System(train=TrainConfig(head="tokens"), score=ScoreConfig())}
    need = Need(name="layers", kind="frames", view="frames")
    monkeypatch.setattr("pipeline.experiments.systems.head_needs", lambda *_: (need,))
    assert systems_table(systems, features, "1")["text_sources"].tolist() == [""]
    features.recipes["frames"] = {**features.recipes["frames"], "source": "text", "column": "text"}
    assert systems_table(systems, features, "1")["text_sources"].tolist() == ["gold"]


def test_parameters_are_those_of_head_and_language_model(here: Path, studied: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(here / "language").num_parameters()
    facts = pd.read_csv(studied / "systems.csv").set_index("system")
    num, own = (facts.loc["text", name] for name in ("num_parameters", "num_trained"))
    # Rank 8 in q (32 to 32) and v (32 to 16) of two blocks.
    adapters = 2 * 8 * ((32 + 32) + (32 + 16))
    assert own == adapters
    assert num == base + adapters
    assert facts.loc["whole", "num_trained"] > own
    assert facts.loc["whole", "num_parameters"] - facts.loc["whole", "num_trained"] == base
    assert facts.loc["bar", "num_parameters"] == facts.loc["bar", "num_trained"]


def test_seconds_stand_beside_runs_and_in_no_predictions(studied: Path) -> None:
    costs = pd.read_csv(studied / "costs.csv").set_index("system")
    assert (costs["seconds_per_clip"] > 0).all()
    assert set(costs["runs"]) == {2}
    assert set(costs["clips"]) == {40}
    assert len(list((studied / RUNS).rglob("*.cost.json"))) == 5 * 2


def test_what_is_finished_is_kept_with_what_it_took(here: Path, studied: Path) -> None:
    before = {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()}
    assert crossval(here, studied).exit_code == 0
    assert {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()} == before


def test_the_page_has_our_rows_in_their_tables(studied: Path, tmp_path: Path) -> None:
    done = genser("report", "--crossval", f"cv={studied}", "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    variants = pd.read_csv(tmp_path / "r/cv_emoq_variants.csv")
    told = variants.groupby("table")["system"].agg(list).to_dict()
    assert told == {
        "input": ["whole", "text", "audio"],
        "losses": ["whole"],
        "stage1": ["whole", "one"],
    }
    text = (tmp_path / "r/report.md").read_text()
    assert "## cv: does the language model earn its cost" in text


def test_other_texts_are_other_runs(here: Path, studied: Path, tmp_path: Path) -> None:
    table = pd.read_csv(here / "folds.csv", keep_default_na=False, dtype="str")
    original = table.copy()
    table.loc[0, "text"] = "something else"
    table.to_csv(here / "folds.csv", index=False)
    before = (studied / "predictions.parquet").read_bytes()
    stamps = {path: path.read_bytes() for path in (studied / RUNS).rglob("*.parquet")}
    assert crossval(here, studied).exit_code == 0
    after = {path: path.read_bytes() for path in (studied / RUNS).rglob("*.parquet")}
    assert all(after[path] != stamps[path] for path in stamps)
    original.to_csv(here / "folds.csv", index=False)
    assert crossval(here, studied).exit_code == 0
    assert (studied / "predictions.parquet").read_bytes() == before
