"""Descriptors in a cross-validation: what it says of each system; and the trials shipped."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from helpers.commands import genser
from helpers.descriptors import make
from pipeline.experiments.crossval import RUNS, System
from pipeline.experiments.descriptors_study import whole_systems
from pipeline.experiments.systems import systems_table
from pipeline.experiments.token_study import rows_of
from stages.params import Params
from stages.systems import system_of, systems_of

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
PARAMS = Path(__file__).parent.parent / "params"

SECTION = """
train:
  head: descriptors
  num_steps: 2
  batch_size: 8
  eval_every: 2
  frames_in: memory
  descriptors:
    language: {language}
    base_dtype: float32
    hidden: 8
    width: 4
    neighbours: 2
    projector_hidden: 8
    stage1_steps: 2
score: {descriptors: {max_tokens: 4, transcribe: true}}
report: {java_seconds: 0}
"""
TRIALS = """
whole: {}
gold: {score.descriptors.condition: gold}
joint: {train.descriptors.stages: joint}
free: {train.descriptors.bottleneck: false}
never: {train.descriptors.describe: false}
bar: {train.head: tokens, train.tokens.input: frames, train.tokens.width: 8}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("descriptors")
    made = make(folder, 40)
    (folder / "params.yaml").write_text(SECTION.replace("{language}", str(made.language)))
    (folder / "trials.yaml").write_text(TRIALS)
    return folder


def crossval(here: Path):
    words = ["--params", here / "params.yaml", "crossval", here / "m.csv"]
    words += ["--store", here / "store", "--heads", "", "--variant", here / "trials.yaml"]
    return genser(*words, "--protocol", "split", "--out", here / "cv")


@pytest.fixture(scope="module")
def studied(here: Path) -> Path:
    done = crossval(here)
    assert done.exit_code == 0, done.output
    return here / "cv"


def test_each_system_says_what_it_is_made_of(studied: Path) -> None:
    facts = pd.read_csv(studied / "systems.csv", keep_default_na=False).set_index("system")
    assert facts["branches"].tolist() == ["two"] * 5 + [""]
    assert facts["bottleneck"].tolist() == ["yes", "yes", "yes", "no", "yes", ""]
    phases = "two in phases"
    assert facts["stages"].tolist() == [phases, phases, "joint", phases, phases, ""]
    conditions = ["predicted", "gold", "predicted", "predicted", "never", ""]
    assert facts["condition"].tolist() == conditions
    assert facts["described_by"].tolist() == ["given"] * 4 + ["", ""]
    betas = pd.to_numeric(facts["beta_first"]).fillna(0)
    assert betas.tolist() == [1, 1, 1, 0, 1, 0]
    assert facts["input"].tolist() == ["frames"] * 6


def test_what_is_written_and_known_within_is_told_of_those_that_do(studied: Path) -> None:
    scores = pd.read_csv(studied / "text_scores.csv")
    described = scores[scores["text"] == "descriptors"]
    assert set(described["system"]) == {"whole", "joint", "free"}
    assert set(scores.loc[scores["score"] == "wer", "system"]) == set(described["system"]) | {
        "gold",
        "never",
    }
    probes = pd.read_csv(studied / "probes.csv")
    assert set(probes["system"]) == {"whole", "gold", "joint", "free", "never"}
    inside = set(probes["representation"])
    assert inside == {"content", "descriptor", "mean of frames"}


def test_what_is_finished_is_kept(here: Path, studied: Path) -> None:
    before = {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()}
    assert len(list((studied / RUNS).rglob("*.parquet"))) == 6
    assert crossval(here).exit_code == 0
    assert {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()} == before


def test_the_page_has_our_rows_in_their_tables(studied: Path, tmp_path: Path) -> None:
    done = genser("report", "--crossval", f"cv={studied}", "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    variants = pd.read_csv(tmp_path / "r/cv_descriptors_variants.csv")
    told = variants.groupby("table")["system"].agg(list).to_dict()
    assert told == {
        "parts": ["whole", "joint", "free"],
        "beta": ["whole"],
        "condition": ["whole", "gold", "never"],
    }
    assert "## cv: what each branch knows" in (tmp_path / "r/report.md").read_text()


def facts_of(systems: dict[str, System], monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Return the facts of systems that need no features."""
    monkeypatch.setattr("pipeline.experiments.systems.head_needs", lambda *_: ())
    manifest = SimpleNamespace(table=pd.DataFrame({"descriptors": ["loud"]}))
    return systems_table(systems, SimpleNamespace(manifest=manifest), fold="1")


def test_every_trial_of_the_study_stands_in_a_table_of_it(monkeypatch) -> None:
    params = Params(PARAMS / "descriptors.yaml", ())
    systems = dict(systems_of((), [str(PARAMS / "trials/descriptors.yaml")], params))
    rows = rows_of(facts_of(systems, monkeypatch))
    (whole,) = whole_systems(rows)
    assert whole["system"] == "whole"
    ends = {(row["beta_first"], row["beta_last"]) for row in rows}
    betas = [1.0, 0.1, 0.01, 0.001, 0.0001]
    assert {(b, b) for b in betas} | {(1.0, b) for b in betas} <= ends
    assert {row["condition"] for row in rows} == {"predicted", "gold", "none", "never"}
    assert {row["branches"] for row in rows} == {"two", "one"}
    assert {row["bottleneck"] for row in rows} == {"yes", "no"}
    assert {row["stages"] for row in rows} == {"two in phases", "two in batches", "joint"}


def test_the_four_systems_are_as_their_own_presets_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(PARAMS.parent)
    trials = systems_of((), [str(PARAMS / "trials/systems_small.yaml")], Params(None, ()))
    assert list(trials) == ["genser", "tokens", "emoq", "descriptors"]

    def preset(name: str, **section: Any) -> System:
        one = system_of(Params(PARAMS / f"{name}_small.yaml", ()))
        head = replace(one.train.head_config, **section)
        return replace(one, train=replace(one.train, heads={name: head}))

    assert trials["genser"] == system_of(Params(None, ("train.head=genser",)))
    assert trials["tokens"] == preset("tokens", view="codes-1000-{fold}")
    assert trials["emoq"] == preset("emoq", layers=(3,))
    descriptors = preset("descriptors")
    assert trials["descriptors"].train == descriptors.train
    told = descriptors.score.options("descriptors")
    assert trials["descriptors"].score.options("descriptors") == replace(told, transcribe=True)
