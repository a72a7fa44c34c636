"""Labels that are numbers, from features to a page."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.dataset import StoredFeatures
from pipeline.errors import HeadError, ParamsError
from pipeline.evaluation.concordance import measure_numbers
from pipeline.experiments.crossval import cross_validate
from pipeline.experiments.plan import Plan, System
from pipeline.experiments.probing import STRENGTH, probe_layers
from pipeline.experiments.sweeping import summarise_sweep, sweep_table
from pipeline.experiments.tables import write_tables
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.saved import load_head
from pipeline.heads.trunk import TrunkConfig
from pipeline.heads.twin import TwinConfig
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest, read_manifest
from pipeline.manifests.numbers import Scale
from pipeline.progress import Silence
from pipeline.report.crossval import write_crossval_page
from pipeline.report.probe import compared_by, write_probe
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.scoring.predictions import read_predictions, write_predictions
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.config import TrainConfig
from pipeline.training.rows import choose_rows
from pipeline.training.train import train_manifest

TINY = TrunkConfig(width=8, num_blocks=1, num_heads=2, dropout=0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """Twelve speakers whose arousal is a linear function of the last layer, from about 1 to 7."""
    folder = tmp_path_factory.mktemp("numbers")
    draw = np.random.default_rng(0)
    direction = np.eye(8)[0] - np.eye(8)[3]
    rows, features = [], draw.normal(size=(96, 3, 8)).astype(np.float32)
    for i in range(96):
        speaker = i // 8
        value = 4 + features[i, 2] @ direction
        rows.append(
            {
                "utterance_id": f"c{i:02d}",
                "path": f"{i}.wav",
                "corpus": "made",
                "speaker": f"s{speaker}",
                "split": ("train", "train", "dev", "test")[speaker % 4],
                "arousal": "" if i == 95 else f"{value:.6f}",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "m.csv", index=False)
    table = FeatureTable(utterance_ids=[r["utterance_id"] for r in rows], features=features)
    ingest(table, folder / "store", IngestConfig(last_layer=2, stored_dtype="float32"), Silence())
    return read_manifest(folder / "m.csv"), folder / "store"


def train(made: tuple[Manifest, Path], out: Path, **values) -> None:
    train_manifest(
        made[0],
        {"": made[1]},
        task="arousal",
        label_map=LabelMap(numbers=True),
        config=TrainConfig(**values),
        out=out,
        allow_overlap=False,
        device="cpu",
        reporter=Silence(),
    )


def test_a_linear_number_is_found_and_told_in_its_units(
    made: tuple[Manifest, Path], tmp_path: Path
) -> None:
    train(made, tmp_path / "head", head="logreg", select_by="ccc")
    trained = load_head(tmp_path / "head")
    told = made[0].table["arousal"]
    trains = told[made[0].table["split"] == "train"].astype(float)
    assert trained.record.scale == Scale(low=trains.min(), high=trains.max())
    assert json.loads((tmp_path / "head" / "head.json").read_text())["format_version"] == 4
    scored = score_manifest(made[0], {"": made[1]}, trained, ScoreConfig(), device="cpu")
    write_predictions(tmp_path / "p.parquet", scored)
    read = read_predictions(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(read.frame, scored.frame)
    assert read.table.schema.names == ["utterance_id", "split", "label", "predicted", "error"]
    frame = read.frame
    assert np.isnan(frame["label"][95])
    known = frame["label"].notna()
    np.testing.assert_allclose(frame["label"][known], told[known].astype(float))
    np.testing.assert_allclose(frame["predicted"][known], frame["label"][known], atol=0.05)
    metrics = write_report(
        tmp_path / "report",
        Sources(predictions={"ridge": read}, manifest=made[0], label_map=LabelMap(numbers=True)),
        ReportConfig(),
    )
    test = metrics["ridge"]["test"]
    assert test["num_clips"] == 23
    assert test["ccc"] > 0.999
    low, high = test["interval"]["ccc"]
    assert low <= test["ccc"] <= high
    assert (tmp_path / "report" / "scatter_ridge.png").stat().st_size > 1000
    page = (tmp_path / "report" / "report.html").read_text()
    assert "CCC, concordance" in page
    assert "mean recall" not in page
    uniform = ScoreConfig(prior="uniform")
    with pytest.raises(HeadError, match=r"score\.prior: 'uniform' is for classes"):
        score_manifest(made[0], {"": made[1]}, trained, uniform, device="cpu")


@pytest.mark.parametrize(
    ("head", "config"),
    [
        ("genser", GenSERConfig(trunk=TINY)),
        ("twin", TwinConfig(trunk=TINY)),
        ("mlp", None),
    ],
)
def test_every_dense_head_learns_numbers_and_is_loaded_as_it_was(
    made: tuple[Manifest, Path], tmp_path: Path, head: str, config: object
) -> None:
    heads = {} if config is None else {head: config}
    train(made, tmp_path, head=head, heads=heads, num_steps=4, eval_every=2, select_by="ccc")
    trained = load_head(tmp_path)
    scored = score_manifest(made[0], {"": made[1]}, trained, ScoreConfig(), device="cpu")
    dev = scored.frame[scored.frame["split"] == "dev"]
    found = measure_numbers(dev["label"].to_numpy(), dev["predicted"].to_numpy())
    # What training said of dev is what the head that was saved says of it.
    kept = trained.record.dev
    near = 0.2 if head == "genser" else 1e-3  # genser samples dev with fewer steps
    assert found["pearson"] == pytest.approx(kept["pearson"], abs=near)


def test_each_layer_is_probed_by_ridge_and_the_one_that_knows_is_found(
    made: tuple[Manifest, Path], tmp_path: Path
) -> None:
    features = StoredFeatures(made[0], {"": made[1]})
    rows = choose_rows(
        made[0], features, task="arousal", label_map=LabelMap(numbers=True), allow_overlap=False
    )
    table = probe_layers(features, rows, reporter=Silence())
    assert list(table) == ["layer", "dev_ccc", "dev_pearson", "dev_rmse", "train_ccc"]
    assert table["dev_ccc"].idxmax() == 2
    assert table["dev_ccc"][2] > 0.9 > table["dev_ccc"][:2].max()
    # The same by normal equations, on the numbers themselves instead of shares of a scale.
    x, y = features.read(rows.train)[:, 2].astype(float), rows.numbers.values[rows.train]
    z = (x - x.mean(0)) / x.std(0)
    slope = np.linalg.solve(z.T @ z + np.eye(8) / STRENGTH, z.T @ (y - y.mean()))
    other = (features.read(rows.dev)[:, 2] - x.mean(0)) / x.std(0) @ slope
    known = rows.numbers.values[rows.dev]
    assert table["dev_pearson"][2] == pytest.approx(np.corrcoef(other, known)[0, 1], abs=1e-5)
    stretched = (other - other.mean()) / other.std() * known.std() + known.mean()
    error = np.sqrt(np.mean((stretched - known) ** 2))
    assert table["dev_rmse"][2] == pytest.approx(error, abs=1e-4)
    write_probe(tmp_path, table, 2, title="t")
    assert compared_by(pd.read_csv(tmp_path / "probe.csv")) == ("dev_ccc", "CCC")


def test_what_is_for_classes_is_refused(made: tuple[Manifest, Path], tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"train.select_by: 'ua' is for classes, and the labels"):
        train(made, tmp_path, head="logreg", select_by="ua")
    with pytest.raises(ParamsError, match=r"train.targets: found 'votes', which is for classes"):
        train(made, tmp_path, head="logreg", targets="votes")


def test_cross_validation_pools_compares_and_shows_numbers(
    made: tuple[Manifest, Path], tmp_path: Path
) -> None:
    table = made[0].table
    folds = {
        str(k): replace(
            made[0],
            table=table.assign(
                split=[
                    ("train", "dev", "test")[(0, 0, 1, 2)[(int(s[1:]) + k) % 4]]
                    for s in table["speaker"]
                ]
            ),
        )
        for k in range(2)
    }
    systems = {
        name: System(
            train=TrainConfig(head="logreg", heads={"logreg": config}), score=ScoreConfig()
        )
        for name, config in (
            ("all", LogRegConfig(strength=100.0)),
            ("first", LogRegConfig(input="layer", layer=0, strength=100.0)),
        )
    }
    label_map = LabelMap(numbers=True)
    plan = Plan(
        systems=systems,
        seeds=(0,),
        task="arousal",
        label_map=label_map,
        allow_overlap=False,
        device="cpu",
    )
    stores = {"": made[1]}
    runs = cross_validate(folds, stores, plan, tmp_path, reporter=Silence())
    lines = write_tables(
        tmp_path, runs, made[0], label_map, cluster="speaker", margin=0.02, is_matrix=False
    )
    assert lines[0].startswith("all: CCC 1.000")
    standings = pd.read_csv(tmp_path / "standings.csv").set_index("system")
    pooled = pd.concat([run.predictions.frame for run in runs if run.system == "all"])
    pooled = pooled[pooled["split"].eq("test") & pooled["label"].notna()]
    expected = measure_numbers(pooled["label"].to_numpy(), pooled["predicted"].to_numpy())
    assert standings["ccc"]["all"] == pytest.approx(expected["ccc"], abs=1e-5)
    assert standings["ccc_fold_sd"].notna().all()
    (compared,) = pd.read_csv(tmp_path / "comparisons.csv").to_dict("records")
    assert [compared[c] for c in ("first", "second", "verdict")] == ["all", "first", "better"]
    page = tmp_path / "page"
    write_crossval_page(page, {"made": tmp_path}, cluster="speaker")
    text = (page / "report.md").read_text()
    assert "CCC difference" in text
    assert "CCC over folds" in text
    (best, other) = summarise_sweep(sweep_table(runs))["mean"]
    assert best > 0.99 > other
