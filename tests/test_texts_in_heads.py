"""A view of texts through the commands, alone and beside the layers of clips."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from helpers.commands import genser, refused
from helpers.texts import save_text_encoder, write_texts
from pipeline.store.reader import FeatureStore

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

PARAMS = """
embed: {encoder: bert, max_tokens: 12, rows_per_shard: 8}
train:
  head: logreg
  num_steps: 10
  batch_size: 8
  eval_every: 5
  logreg: {view: text, strength: 0.5}
  mlp: {hidden: 8}
  genser: {trunk: {width: 16, num_blocks: 1, num_heads: 2}}
  twin: {trunk: {width: 16, num_blocks: 1, num_heads: 2}}
"""
HEADS = ("genser", "twin", "mlp", "linear", "logreg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a view of texts, and another one of layers from elsewhere."""
    made = tmp_path_factory.mktemp("texts")
    save_text_encoder(made / "bert")
    table = write_texts(made / "m.csv", 40)
    (made / "params.yaml").write_text(PARAMS)
    layers = np.random.default_rng(0).normal(size=(40, 3, 16)).astype(np.float32)
    np.savez(made / "f.npz", utterance_id=table["utterance_id"].tolist(), features=layers)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert genser("ingest", "f.npz", "--store", "s").exit_code == 0
        done = genser("embed", "m.csv", "--store", "s")
        assert done.exit_code == 0, done.output
        assert done.stdout == "s: view text: 40 rows, 40 of them embedded; 1 layer of 16\n"
        assert genser("split", "m.csv", "--folds", "2", "-o", "folds.csv").exit_code == 0
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def head(here: Path, tmp_path: Path) -> Path:
    done = genser("train", "m.csv", "--store", "s", "--out", tmp_path / "head")
    assert done.exit_code == 0, done.output
    return tmp_path / "head"


def test_logistic_regression_on_texts_is_that_of_scikit_learn(head: Path, tmp_path: Path):
    words = ["score", "m.csv", "--store", "s", "--head", head, "--out", tmp_path / "p.parquet"]
    assert genser(*words).exit_code == 0
    scored = pd.read_parquet(tmp_path / "p.parquet")
    table = pd.read_csv("m.csv")
    x = FeatureStore.open(Path("s")).view("text").read(table["utterance_id"].tolist())[:, 0]
    train = (table["split"] == "train").to_numpy()
    deviation = x[train].std(0)
    x = (x - x[train].mean(0)) / deviation
    model = LogisticRegression(C=0.5, max_iter=1000).fit(x[train], table["emotion"][train])
    # scikit-learn's is of one class against the other, ours has a score of each.
    ours = scored[f"score.{model.classes_[1]}"] - scored[f"score.{model.classes_[0]}"]
    np.testing.assert_allclose(ours, model.decision_function(x), atol=1e-3)
    assert (scored["predicted"] == table["emotion"]).all()


def test_head_and_predictions_say_whose_texts_were_read(head: Path, tmp_path: Path):
    record = json.loads((head / "head.json").read_text())
    assert record["text_sources"] == ["gold"]
    assert record["recipes"]["text"]["source"] == "text"
    assert record["encoders"] == {"text": "bert"}
    words = ["score", "m.csv", "--store", "s", "--head", head, "--out", tmp_path / "p.parquet"]
    assert genser(*words).exit_code == 0
    told = genser("inspect", tmp_path / "p.parquet", "--json")
    assert json.loads(told.stdout)["text_sources"] == ["gold"]


def test_it_is_reported_and_inspected(head: Path, tmp_path: Path):
    words = ["score", "m.csv", "--store", "s", "--head", head, "--out", tmp_path / "p.parquet"]
    assert genser(*words).exit_code == 0
    done = genser("report", tmp_path / "p.parquet", "--out", tmp_path / "report")
    assert done.exit_code == 0, done.output
    shown = json.loads(genser("inspect", head, "--json").stdout)
    assert shown["features"] == {"layers": "1 layers of 16, x1 is layer 0"}
    shown = json.loads(genser("inspect", "s", "--json").stdout)
    assert shown["views"]["text"]["outcomes"] == {"ok": 40}
    assert shown["views"]["text"]["recipe"]["source"] == "text"
    shown = json.loads(genser("inspect", "params.yaml", "--json").stdout)
    assert shown["features"] == "1 layers of 16"


def test_a_loose_file_without_its_text_is_refused_in_a_line(head: Path):
    told = refused("predict", "a.wav", "--head", head)
    assert told == (
        "Error: this head reads text, and was trained on texts of: gold; wanted one recogniser to "
        "hear the recording; give --recogniser FOLDER or --text TEXT.\n"
    )
    result = genser("predict", "a.wav", "--head", head, "--text", " ")
    assert result.exit_code == 3
    assert "a.wav: no_text: view 'text' is made of text, and nothing is said" in result.stderr


@pytest.mark.parametrize("column", ["text", "text_given"])
def test_a_loose_text_has_the_probabilities_that_its_row_has(
    here: Path, tmp_path: Path, column: str
):
    table = pd.read_csv("m.csv")
    table.assign(text_given=table["text"]).to_csv(tmp_path / "m.csv", index=False)
    store, head, out = tmp_path / "s", tmp_path / "head", tmp_path / "p.parquet"
    for words in (
        ["-S", f"embed.column={column}", "embed", tmp_path / "m.csv", "--store", store],
        ["train", tmp_path / "m.csv", "--store", store, "--out", head],
        ["score", tmp_path / "m.csv", "--store", store, "--head", head, "--out", out],
    ):
        done = genser(*words)
        assert done.exit_code == 0, done.output
    scored = pd.read_parquet(out)
    for row in (0, 1, 2):
        text = table["text"][row]
        result = genser("predict", "a.wav", "--head", head, "--text", text, "--json")
        (alone,) = json.loads(result.stdout)
        assert alone["text"] == text
        for name, value in alone["probabilities"].items():
            assert value == pytest.approx(scored[f"probability.{name}"][row], abs=1e-5)


def test_another_encoder_in_the_head_s_folder_is_refused(head: Path, here: Path):
    (here / "bert").rename(here / "kept")
    try:
        save_text_encoder(here / "bert", seed=1)
        told = refused("predict", "a.wav", "--head", head, "--text", "yes")
        assert "encoder.weights is " in told
    finally:
        shutil.rmtree(here / "bert")
        (here / "kept").rename(here / "bert")


@pytest.mark.parametrize("name", HEADS)
def test_every_dense_head_reads_a_vector_beside_the_layers(here: Path, tmp_path: Path, name: str):
    given = ["-S", f"train.head={name}", "-S", f"train.{name}.view=layers"]
    beside = ["-S", f"train.{name}.beside=text"]
    out = tmp_path / name
    done = genser(*given, *beside, "train", "m.csv", "--store", "s", "--out", out)
    assert done.exit_code == 0, done.output
    record = json.loads((out / "head.json").read_text())
    assert set(record["shapes"]) == set(record["standardisers"]) == {"layers", "beside"}
    assert set(record["recipes"]) == {"layers", "text"}
    assert record["text_sources"] == ["gold"]
    words = ["score", "m.csv", "--store", "s", "--head", out, "--out", tmp_path / "p.parquet"]
    assert genser(*words).exit_code == 0
    assert genser("inspect", out).exit_code == 0


def test_late_fusion_and_beside_stand_in_one_cross_validation(here: Path, tmp_path: Path):
    words = ["crossval", "folds.csv", "--store", "s", "--heads", "logreg"]
    words += ["--variant", "audio=train.logreg.view=layers"]
    words += ["--variant", "joined=train.logreg.view=layers,train.logreg.beside=text"]
    words += ["--late-fusion", "late=logreg+audio", "--late-fusion", "all=late+joined"]
    done = genser(*words, "--seeds", "0,1", "--out", tmp_path / "cv")
    assert done.exit_code == 0, done.output
    names = ["logreg", "audio", "joined", "late", "all"]
    facts = pd.read_csv(tmp_path / "cv" / "systems.csv", keep_default_na=False)
    assert facts["system"].tolist() == names
    facts = facts.set_index("system")
    assert facts.loc["joined", "views"] == "layers text"
    assert facts.loc["late", ["head", "views", "source"]].tolist() == [
        "late-fusion",
        "text + layers",
        "text + table",
    ]
    assert facts["text_sources"].tolist() == ["gold", "", "gold", "gold", "gold"]
    own = facts["num_trained"].astype(int)
    assert own["late"] == own["logreg"] + own["audio"] > 0
    costs = pd.read_csv(tmp_path / "cv" / "costs.csv").set_index("system")
    assert costs["runs"].tolist() == [4] * 5
    each = costs["seconds_per_clip"]
    # Each is written in whole microseconds.
    assert each["late"] == pytest.approx(each["logreg"] + each["audio"], abs=2e-6)
    standings = pd.read_csv(tmp_path / "cv" / "standings.csv")
    assert set(standings["system"]) == set(names)
    compared = pd.read_csv(tmp_path / "cv" / "comparisons.csv")
    assert compared["second"].tolist() == names[1:]
    runs = {p: p.stat().st_mtime_ns for p in (tmp_path / "cv" / "runs").rglob("*.parquet")}
    assert len(runs) == 5 * 2 * 2
    assert genser(*words, "--seeds", "0,1", "--out", tmp_path / "cv").exit_code == 0
    assert runs == {p: p.stat().st_mtime_ns for p in (tmp_path / "cv" / "runs").rglob("*.parquet")}


def test_embed_without_an_encoder_is_refused(here: Path, tmp_path: Path):
    (tmp_path / "none.yaml").write_text("")
    told = refused("--params", tmp_path / "none.yaml", "embed", "m.csv", "--store", tmp_path / "s")
    assert told.startswith("Error: embed.encoder: names none, wanted a folder or a model")
    assert not (tmp_path / "s").exists()
