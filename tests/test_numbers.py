"""Labels that are numbers: maps, scales, heads, predictions, from features to a page."""

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
from pipeline.heads.batch import of_layers
from pipeline.heads.catalogue import build_head
from pipeline.heads.classifier import LinearConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.ridge import fit_ridge
from pipeline.heads.trunk import TrunkConfig
from pipeline.manifests.labels import LabelMap, class_names
from pipeline.manifests.manifest import Manifest, read_manifest
from pipeline.manifests.numbers import Scale, thirds
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.scoring.predictions import write_predictions
from pipeline.training.config import TrainConfig
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
    found = thirds(pd.Series(["1", "1", "2", "2", "3", ""]))
    assert found.tolist() == ["low third"] * 2 + ["middle third"] * 2 + ["high third", ""]


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
