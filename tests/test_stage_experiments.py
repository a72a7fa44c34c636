import re

import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.experiments import running
from pipeline.scoring.predictions import read_predictions


def test_heads_are_cross_validated_from_one_store(here, tmp_path):
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "logreg,linear"]
    result = genser(*words, "--folds", 3, "--seeds", "0,1", "--out", tmp_path / "cv")
    assert result.exit_code == 0, result.output
    assert "logreg - linear: UA " in result.stdout
    assert sorted(path.name for path in (tmp_path / "cv").iterdir()) == [
        "abstention.csv",
        "comparisons.csv",
        "costs.csv",
        "dev.csv",
        "predictions.parquet",
        "runs",
        "standings.csv",
        "systems.csv",
    ]
    page = tmp_path / "r"
    words = ["report", "p.parquet", "--manifest", "demo.csv", "--crossval", f"cv={tmp_path}/cv"]
    assert genser(*words, "--out", page).exit_code == 0
    assert (
        "cv: standings. Fewer than 10 were resampled: the ends say little."
        in (page / "report.md").read_text()
    )


def test_heads_are_cross_validated_under_conditions(here, tmp_path):
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "logreg,linear", "--folds", 3]
    told = ["--label-noise", 0.3, "--train-speakers", 2, "--new-class", "sad", "--shots", "1,2"]
    result = genser(*words, *told, "--out", tmp_path / "cv")
    assert result.exit_code == 0, result.output
    assert "logreg - linear-noise0.3: UA " in result.stdout
    table = pd.read_csv(tmp_path / "cv/conditions.csv")
    assert table["level"].dropna().unique().tolist() == [0.3, 2, 1]
    assert len(table) == 2 * 5
    page = tmp_path / "r"
    assert genser("report", "--crossval", f"cv={tmp_path}/cv", "--out", page).exit_code == 0
    text = (page / "report.md").read_text()
    assert re.search(
        r"^\*\*(Above|Below|Not shown to be above) the commonest class on cv: 0\.\d+ .*"
        r"the best other system, linear \(UA 0",
        text,
        re.MULTILINE,
    )
    assert re.search(r"^- \*\*cv:\*\* logreg, compared with linear; ", text, re.MULTILINE)
    assert f"- **Command:** genser report --crossval cv={tmp_path}/cv --out" in text
    for shown in (
        "What they cope with: cv",
        "Unsure clips left to a person: cv",
        "1: new, known",
        "(sad)",
    ):
        assert shown in text
    assert genser(*words, "--out", tmp_path / "cv").exit_code == 0
    assert not (tmp_path / "cv/conditions.csv").exists()


def test_conditions_that_cannot_be_are_refused(here, tmp_path):
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "logreg", "--folds", 3]
    words += ["--out", tmp_path / "cv"]
    assert "--label-noise a: wanted shares" in refused(*words, "--label-noise", "a")
    assert "no class 'bored' of 'emotion', only [" in refused(*words, "--new-class", "bored")
    assert "training speakers, wanted 99; take fewer" in refused(*words, "--train-speakers", 99)
    crossed = ["crossval", "demo.csv", "--store", "store", "--protocol", "cross-corpus"]
    crossed += ["--out", tmp_path / "cc", "--label-noise", 0.2]
    assert "cross-corpus: takes no conditions" in refused(*crossed)


def test_each_layer_is_probed_on_dev(here, tmp_path):
    result = genser("probe", "demo.csv", "--store", "store", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "probe.csv")
    assert table["layer"].tolist() == list(range(len(table)))
    assert table["dev_ua"].between(0, 1).all()
    assert f"best on dev: layer {table['dev_ua'].idxmax()}" in result.stdout


def test_a_parameter_is_swept_on_dev(here, tmp_path):
    words = ["sweep", "demo.csv", "train.genser.sigma=0.5,5", "--store", "store"]
    result = genser(*words, "--seeds", "0,1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "train_genser_sigma.csv")
    assert table[["value", "seed"]].to_numpy().tolist() == [[0.5, 0], [5, 0], [0.5, 1], [5, 1]]
    assert (tmp_path / "train_genser_sigma.png").exists()


def test_what_is_swept_under_score_is_trained_once(here, tmp_path, monkeypatch):
    trained, train_rows = [], running.train_rows

    def counts(*args, **kwargs):
        trained.append(kwargs["config"])
        return train_rows(*args, **kwargs)

    monkeypatch.setattr(running, "train_rows", counts)
    words = [
        "sweep",
        "demo.csv",
        "score.genser.num_steps=1,2,4",
        "--store",
        "store",
        "--out",
        tmp_path,
    ]
    assert genser(*words).exit_code == 0
    assert len(trained) == 1
    assert len(pd.read_csv(tmp_path / "score_genser_num_steps.csv")) == 3
    assert genser(*words).exit_code == 0
    assert len(trained) == 1  # what is finished is kept


def test_the_manifest_s_own_split_may_be_the_one_fold(here, tmp_path):
    words = ["crossval", "demo.csv", "--store", "store", "--heads", "logreg", "--protocol", "split"]
    result = genser("-S", "train.logreg.strength=0.01", *words, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    split = pd.read_csv(here / "demo.csv").set_index("utterance_id")["split"]
    assert set(table["fold"]) == {"split"}
    assert set(table["utterance_id"]) == set(split.index[split == "test"])
    untested = pd.read_csv(here / "demo.csv").assign(split="train")
    untested.to_csv(tmp_path / "untested.csv", index=False)
    words[1] = tmp_path / "untested.csv"
    assert "its split has no test clips to score" in refused(*words, "--out", tmp_path / "x")


def test_trials_are_compared_over_folds_on_dev_alone(here, tmp_path):
    folded = genser("split", "demo.csv", "--folds", "2", "-o", tmp_path / "folds.csv")
    assert folded.exit_code == 0, folded.output
    (tmp_path / "trials.yaml").write_text(
        "plain: {train.head: logreg, train.logreg.strength: 0.01}\n"
        "last: {train.head: logreg, train.logreg.strength: 0.01, train.logreg.input: last}\n"
    )
    words = ["sweep", tmp_path / "folds.csv", tmp_path / "trials.yaml", "--store", "store"]
    result = genser(*words, "--fold", "1", "--fold", "2", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out/trials.csv", dtype={"fold": str})
    assert table[["value", "fold"]].to_numpy().tolist() == [
        ["plain", "1"],
        ["last", "1"],
        ["plain", "2"],
        ["last", "2"],
    ]
    for run in (tmp_path / "out/trials/runs").rglob("*.parquet"):
        assert set(read_predictions(run).table["split"].to_pylist()) == {"dev"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("crossval demo.csv --store store --out x", "has no folds; give --folds K, or make them"),
        (
            "crossval demo.csv --store store --out x --heads genser,svm",
            "--heads genser,svm: wanted",
        ),
        (
            "crossval demo.csv --store store --out x --seeds 0,a",
            "--seeds 0,a: wanted whole numbers",
        ),
        ("crossval demo.csv --store store --out x --seeds 1,1", "--seeds 1,1: names one twice."),
        ("crossval demo.csv --store store --out x --folds 99", "6 groups by 'speaker'"),
        (
            "crossval demo.csv --store store --out x --protocol split --folds 2",
            "--folds 2: is for --protocol folds, found split.",
        ),
        (
            "crossval demo.csv --store store --out x --protocol cross-corpus",
            "has the corpora ['demo'], wanted at least two",
        ),
        (
            "sweep demo.csv report.split=dev --store store --out x",
            "with the section train or score",
        ),
        (
            "sweep demo.csv train.head=a/b --store store --out x",
            "'a/b' cannot name a file",
        ),
        ("sweep demo.csv none.yaml --store store --out x", "none.yaml: cannot be read"),
        (
            "crossval demo.csv --store store --out x --folds 2 --variant genser=train.seed=1",
            "--variant genser=train.seed=1: there is a 'genser' already; rename one.",
        ),
        (
            "crossval demo.csv --store store --out x --folds 2 --variant seeds",
            "--variant seeds: wanted NAME=section.key=value,... or NAME=params.yaml",
        ),
        ("sweep demo.csv train.sigmoid=1 --store store --out x", "has unknown keys ['sigmoid']"),
        (
            "report p.parquet --against logreg --out x",
            "--against and --variant: need --store, --head and --manifest too.",
        ),
        (
            "report p.parquet --manifest demo.csv --head head --store store --out x "
            "--variant p=train.seed=1",
            "--against: 'p' is a predictions file too; rename that.",
        ),
        ("report p.parquet --store store --out x", "--store: needs --head and --manifest too."),
        (
            "report p.parquet --with other --out x",
            "--with other: wanted NAME=PATH, each name once.",
        ),
        ("report p.parquet --crossval cv=demo --out x", "demo: holds no cross-validation; run"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(here, tmp_path, words, message):
    words = words.replace("--out x", f"--out {tmp_path}/x")
    assert message in refused(*words.split())


def test_a_grammar_that_cannot_be_read_is_refused_before_anything_is_trained(here, tmp_path):
    words = ["-S", "describe.grammar=none.yaml", "crossval", "demo.csv", "--store", "store"]
    message = refused(*words, "--heads", "logreg", "--folds", "2", "--out", tmp_path / "x")
    assert "none.yaml: cannot be read" in message
    assert not (tmp_path / "x").exists()
