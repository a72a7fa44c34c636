"""Labels that are numbers: maps, scales, heads, predictions, from features to a page."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.diffusion.codes import projections, sinusoidal_codes
from pipeline.errors import HeadError, ManifestError, ParamsError, PredictionsError
from pipeline.evaluation.concordance import measure_numbers
from pipeline.evaluation.links import Shares, fit_shares
from pipeline.experiments.crossval import cross_validate
from pipeline.experiments.plan import Plan, System
from pipeline.experiments.sweeping import summarise_sweep, sweep_table
from pipeline.experiments.tables import write_tables
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.batch import of_layers
from pipeline.heads.catalogue import build_head
from pipeline.heads.classifier import LinearConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.ridge import fit_ridge
from pipeline.heads.saved import load_head
from pipeline.heads.trunk import TrunkConfig
from pipeline.heads.twin import TwinConfig
from pipeline.manifests.labels import LabelMap, class_names
from pipeline.manifests.manifest import Manifest, read_manifest
from pipeline.manifests.numbers import Scale, thirds
from pipeline.progress import Silence
from pipeline.report.crossval import write_crossval_page
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.scoring.predictions import read_predictions, write_predictions
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.config import TrainConfig
from pipeline.training.train import train_manifest
from stages.label_maps import read_label_map

MAP = LabelMap(numbers=True, mapping={"mild": "2"}, drop=("?",))
SHAPES = {"layers": FeatureShape(num_layers=3, dim=8, last_layer=2, input_layer=0)}
TINY = TrunkConfig(width=8, num_blocks=1, num_heads=2, dropout=0.0)


def manifest(folder: Path, values: list[str]) -> Manifest:
    lines = [f"{i},{i}.wav,{value}" for i, value in enumerate(values)]
    (folder / "m.csv").write_text("utterance_id,path,arousal\n" + "\n".join(lines) + "\n")
    return read_manifest(folder / "m.csv")


def test_a_map_of_numbers_maps_drops_and_refuses_by_row(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["1.5", "mild", "?", ""])
    assert class_names(read, "arousal", MAP).tolist() == ["1.5", "2", "", ""]
    read = manifest(tmp_path, ["1.5", "nan"])
    with pytest.raises(ManifestError, match=r":3: arousal 'nan' is not a number; mend the label"):
        class_names(read, "arousal", MAP)


def test_a_column_of_digits_is_of_classes_unless_a_file_says_numbers(tmp_path: Path) -> None:
    read = manifest(tmp_path, ["0", "1"])
    assert class_names(read, "arousal", None).tolist() == ["0", "1"]
    path = tmp_path / "arousal.yaml"
    path.write_text("numbers: true\nmap: {low: '1'}\n")
    found = read_label_map(path)
    assert found == LabelMap(numbers=True, mapping={"low": "1"})
    for text in ("numbers: true\nclasses: [a, b]\n", "drop: [a]\n"):
        path.write_text(text)
        with pytest.raises(ParamsError, match=r"wanted either classes, or numbers: true"):
            read_label_map(path)
    path.write_text("numbers: true\nmap: {low: little}\n")
    with pytest.raises(ManifestError, match="found 'little', mapped to, beside numbers: true"):
        read_label_map(path)


def test_a_map_of_classes_is_kept_as_before_there_were_numbers() -> None:
    kept = LabelMap(classes=("a", "b")).as_json()
    assert kept == {"classes": ("a", "b"), "mapping": {}, "drop": ()}


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9), st.integers(1, 9))
def test_a_point_between_two_codes_is_read_as_its_number(values: list[float], width: int) -> None:
    scale = Scale(low=-1.5, high=width - 1.0)
    shares = torch.from_numpy(scale.shares(np.array(values)))
    codes = sinusoidal_codes(2, 16)
    beside = torch.sin(torch.arange(16) * 2 * torch.pi * 5 / 16)  # orthogonal to both
    points = shares @ codes + 3 * beside
    read = Shares().positions(projections(points, codes).numpy())
    np.testing.assert_allclose(scale.values(read), values, atol=1e-3)


def test_the_number_read_is_the_point_of_the_line_that_is_nearest() -> None:
    codes = sinusoidal_codes(2, 16)
    point = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    read = float(Shares().positions(projections(point, codes).numpy())[0])
    grid = np.linspace(-3, 3, 60001)
    low, high = codes.double().numpy()
    line = low + grid[:, None] * (high - low)
    nearest = grid[np.square(line - point.numpy()).sum(1).argmin()]
    assert read == pytest.approx(nearest, abs=1e-3)


def test_stretching_makes_concordance_the_correlation() -> None:
    draw = np.random.default_rng(0)
    positions = draw.uniform(size=50)
    raw = 0.4 + 0.1 * positions + 0.02 * draw.normal(size=50)
    scores = np.stack([1 - raw, raw], axis=1)
    plain, fitted = (fit_shares(scores, positions, stretch=s) for s in (False, True))
    assert plain == Shares()
    before = measure_numbers(positions, plain.positions(scores))
    after = measure_numbers(positions, fitted.positions(scores))
    assert after["ccc"] == pytest.approx(before["pearson"])
    assert after["ccc"] > before["ccc"]
    # No other positive stretch is better.
    for gain in (0.8, 1.25):
        other = Shares(gain=fitted.gain * gain, offset=fitted.offset)
        assert measure_numbers(positions, other.positions(scores))["ccc"] < after["ccc"]
    assert fit_shares(scores[:1], positions[:1], stretch=True) == Shares()


def test_thirds_keep_equal_numbers_together() -> None:
    found = thirds(pd.Series(["1", "1", "1", "2", "3", ""]))
    assert found.tolist() == ["low third"] * 3 + ["middle third", "high third", ""]


def test_logits_learn_shares_by_the_squared_error() -> None:
    torch.manual_seed(0)
    head = build_head("linear", SHAPES, 2, LinearConfig(dropout=0.0, label_smoothing=0.2))
    head.learn_numbers("linear")
    layers = torch.randn(5, 3, 8)
    targets = torch.from_numpy(Scale(low=0, high=2).shares(np.array([0, 1, 2, 3, -1.0])))
    batch = of_layers(layers, targets=targets)
    phase = TrainConfig().phase
    (loss,) = head.loss(batch, phase=phase, progress=0.0, generator=torch.Generator()).values()
    expected = ((head.scores(batch, None) - targets) ** 2).sum(1).mean()
    torch.testing.assert_close(loss, expected)


def test_a_head_of_classes_alone_refuses_numbers_in_one_line() -> None:
    from pipeline.heads.emoq import EmoQ

    with pytest.raises(HeadError, match=r"train.head: emoq tells classes apart"):
        EmoQ.learn_numbers(object.__new__(EmoQ), "emoq")


def test_ridge_is_the_penalised_least_squares() -> None:
    draw = np.random.default_rng(0)
    x, weights = draw.normal(size=(30, 4)), draw.uniform(0.5, 2, 30)
    u = x @ draw.normal(size=4) + 0.3
    shares = np.stack([1 - u, u], axis=1)
    coefficients, intercepts, strength = fit_ridge(x, shares, weights, np.arange(30), 0.5)
    design = np.column_stack([x, np.ones(30)])
    penalty = np.diag([2.0] * 4 + [0.0])
    wanted = np.linalg.solve(
        design.T @ (weights[:, None] * design) + penalty, design.T @ (weights * u)
    )
    assert strength == 0.5
    np.testing.assert_allclose([*coefficients[1], intercepts[1]], wanted, atol=1e-8)
    np.testing.assert_allclose(coefficients[0], -coefficients[1])
    assert intercepts.sum() == pytest.approx(1.0)
    assert fit_ridge(x, shares, weights, np.arange(30) % 3, 0.0)[2] == 100.0  # no noise: weakest


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
    assert read.table.equals(scored.table)
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
        ("genser", GenSERConfig(trunk=TINY, label_smoothing=0.5)),
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


def test_what_is_for_classes_is_refused(made: tuple[Manifest, Path], tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"train.select_by: 'ua' is for classes, and the labels"):
        train(made, tmp_path, head="logreg", select_by="ua")
    with pytest.raises(ParamsError, match=r"train.targets: found 'votes', which is for classes"):
        train(made, tmp_path, head="logreg", targets="votes")


def test_predictions_of_classes_and_of_numbers_are_not_reported_together(tmp_path: Path) -> None:
    from helpers.predictions import example
    from pipeline.scoring.number_predictions import assemble_numbers

    numbers = assemble_numbers(
        utterance_ids=["a"],
        splits=["test"],
        labels=np.array([1.0]),
        predicted=np.array([2.0]),
        errors=[None],
        metadata={},
    )
    sources = Sources(predictions={"classes": example(), "numbers": numbers})
    with pytest.raises(PredictionsError, match="some tell classes and some say numbers"):
        write_report(tmp_path, sources, ReportConfig())
    spoiled = assemble_numbers(
        utterance_ids=["a"],
        splits=["test"],
        labels=np.array([1.0]),
        predicted=np.array([np.inf]),
        errors=[None],
        metadata={},
    )
    with pytest.raises(PredictionsError, match="column 'predicted': found inf at 'a', wanted a"):
        write_predictions(tmp_path / "p.parquet", spoiled)


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
    assert lines[0].startswith("all: CCC 0.99")
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
