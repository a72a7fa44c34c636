"""The study of tokens as two commands, on a small corpus whose frames tell its classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.codes import CONFIG, Corpus, derive, write_corpus
from helpers.commands import genser, refused
from pipeline.dataset import StoredFeatures
from pipeline.experiments import running
from pipeline.experiments.plan import System
from pipeline.experiments.systems import systems_table
from pipeline.heads.needs import LAYERS_OF_A_CLIP, Need
from pipeline.manifests.manifest import read_manifest
from pipeline.scoring.score import ScoreConfig
from pipeline.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

TINY = """
tokenise: {k: [4], frames_per_centroid: 16, iterations: 4}
train:
  head: tokens
  num_steps: 6
  batch_size: 8
  eval_every: 6
  frames_in: memory
  tokens: {width: 8, hidden: 8, num_heads: 2, temporal: none}
"""
TRIALS = """
"frames-{layer}":
  each: {layer: {1: [0], 2: [1]}}
  train.tokens.input: frames
  train.tokens.layers: "{layer}"
"codes-{layer}":
  each: {layer: {1: [0], 2: [1]}}
  train.tokens.view: "codes-{fold}"
  train.tokens.layers: "{layer}"
codes-all: {train.tokens.view: "codes-{fold}"}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with two folds and a view of codes for each."""
    here = tmp_path_factory.mktemp("study")
    corpus = write_corpus(here, 40)
    (here / "params.yaml").write_text(TINY)
    (here / "trials.yaml").write_text(TRIALS)
    done = genser("split", here / "m.csv", "--folds", "2", "-o", here / "folds.csv")
    assert done.exit_code == 0, done.output
    words = ["--params", here / "params.yaml", "tokenise", here / "folds.csv"]
    done = genser(*words, "--store", corpus.store, "--out", "codes-{fold}")
    assert done.exit_code == 0, done.output
    return here


def study(here: Path, out: Path, *more: object):
    words = ["--params", here / "params.yaml", "crossval", here / "folds.csv"]
    words += ["--store", here / "store", "--heads", "", "--variant", here / "trials.yaml"]
    return genser(*words, "--seeds", "0,1", *more, "--out", out)


@pytest.fixture(scope="module")
def studied(folder: Path) -> Path:
    done = study(folder, folder / "cv")
    assert done.exit_code == 0, done.output
    return folder / "cv"


def test_the_study_says_what_each_system_reads(studied: Path) -> None:
    facts = pd.read_csv(studied / "systems.csv", keep_default_na=False).set_index("system")
    assert facts.index.tolist() == ["frames-1", "frames-2", "codes-1", "codes-2", "codes-all"]
    assert facts["input"].tolist() == ["frames", "frames", "codes", "codes", "codes"]
    assert facts.loc["codes-2", "views"] == "codes-{fold}"
    assert facts.loc["codes-2", "positions"] == "1"
    assert facts["codebooks"].tolist() == [1, 1, 1, 1, 2]
    assert facts["num_codes"].tolist() == ["", "", *3 * ["4.000000"]]
    dev = pd.read_csv(studied / "dev.csv")
    assert len(dev) == 5 * 2 * 2
    assert dev["dev_macro_f1"].between(0, 1).all()


def test_attention_of_the_heads_is_among_the_predictions(studied: Path) -> None:
    table = pd.read_parquet(studied / "predictions.parquet")
    joined = table[table["system"] == "codes-all"]
    sums = joined["attention.0"] + joined["attention.1"]
    np.testing.assert_allclose(sums.to_numpy(), 1, rtol=1e-5)
    assert table.loc[table["system"] == "codes-1", "attention.1"].isna().all()


def test_a_finished_study_is_kept(folder: Path, studied: Path, monkeypatch) -> None:
    def refuses(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(running, "train_rows", refuses)
    before = {path: path.read_bytes() for path in sorted(studied.rglob("*")) if path.is_file()}
    assert study(folder, studied).exit_code == 0
    for path, data in before.items():
        assert path.read_bytes() == data


def test_a_page_is_made_of_the_study_alone(studied: Path, tmp_path: Path) -> None:
    done = genser("report", "--crossval", f"toy={studied}", "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "r/report.md").read_text()
    for title in ("tokens by layer and size", "fusion and acoustics", "attention over layers"):
        assert f"## toy: {title}" in text
    layers = pd.read_csv(tmp_path / "r/toy_tokens_layers.csv").set_index("codes")
    assert layers.loc[["codes-1", "codes-2"], "frames"].tolist() == ["frames-1", "frames-2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report --out x", "PREDICTIONS: none is given, wanted some, or --crossval with no other"),
        ("report --crossval a=cv --manifest m.csv --out x", "PREDICTIONS: none is given"),
        ("report --crossval a/b=cv --out x", "--crossval: 'a/b' cannot name a file"),
        ("crossval m.csv --store s --heads= --out x", "--heads: names none, and there is no"),
    ],
)
def test_what_makes_no_page_and_no_study_is_refused(
    folder: Path, monkeypatch, words: str, message: str
) -> None:
    monkeypatch.chdir(folder)
    assert message in refused(*words.split())


def facts_of(features: StoredFeatures, needs: tuple[Need, ...], monkeypatch) -> pd.Series:
    monkeypatch.setattr("pipeline.experiments.systems.head_needs", lambda *_: needs)
    one = System(train=TrainConfig(head="tokens"), score=ScoreConfig())
    return systems_table({"one": one}, features, "1").iloc[0]


def test_rates_are_those_of_frames_layers_and_codes(tmp_path: Path, monkeypatch) -> None:
    corpus: Corpus = write_corpus(tmp_path, 20)
    derive(corpus, replace(CONFIG, k=(4,)))
    features = StoredFeatures(
        read_manifest(tmp_path / "m.csv"), {"": corpus.store}, ["codes-4", "frames"]
    )
    frames = int(features.num_frames(np.arange(20), "frames").sum())
    ragged = {"name": "tokens", "standardise": False}
    codes = Need(kind="codes", view="codes-4", **ragged)
    assert np.isnan(facts_of(features, (codes,), monkeypatch)["bits_per_s"])  # of no duration
    features.durations = pd.Series(np.full(20, 0.5))
    per_s = frames / 10
    told = facts_of(features, (codes,), monkeypatch)
    assert told["frames_per_s"] == pytest.approx(per_s)
    assert told["bits_per_s"] == pytest.approx(per_s * 2 * 2)  # two layers, log2 of 4
    assert told["bytes_per_s"] == pytest.approx(per_s * 2 * 2)  # two layers, two bytes
    assert (told["source"], told["num_codes"], told["codebooks"]) == ("view", 4, 2)
    own = Need(kind="frames", view="frames", layers=(1,), **ragged)
    told = facts_of(features, (own,), monkeypatch)
    assert told["bytes_per_s"] == pytest.approx(per_s * 6 * 4)  # float32, 6 wide
    assert told["bits_per_s"] == pytest.approx(per_s * 6 * 4 * 8)
    assert (told["positions"], told["input"], told["source"]) == ("1", "frames", "table")
    pooled = replace(LAYERS_OF_A_CLIP, view="codes-4", codes_as="histogram")
    told = facts_of(features, (pooled,), monkeypatch)
    assert told["input"] == "histogram"
    assert told["bits_per_s"] == pytest.approx(per_s * 4)
    beside = replace(pooled, name="acoustics")
    told = facts_of(features, (own, beside), monkeypatch)
    assert told["acoustics"]
    assert told["bits_per_s"] == pytest.approx(per_s * (6 * 4 * 8 + 4))
    told = facts_of(features, (beside,), monkeypatch)
    assert (told["input"], told["layers"], told["acoustics"]) == ("none", "", True)
