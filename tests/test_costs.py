"""What a run takes: counted parameters, and seconds on the disk."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

from pipeline.errors import PredictionsError
from pipeline.experiments.costs import (
    Cost,
    costs_table,
    count_parameters,
    forget_cost,
    read_cost,
    write_cost,
)
from pipeline.heads.base import Base
from pipeline.heads.catalogue import build_head
from pipeline.heads.classifier import LinearConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.needs import FeatureShape

SHAPES = {"layers": FeatureShape(num_layers=2, dim=6, last_layer=1, input_layer=0)}
COST = Cost(num_parameters=7, num_trained=5, seconds=3.0, num_clips=4, device="cpu")


def test_a_head_without_a_base_trains_all_its_parameters() -> None:
    head = build_head("linear", SHAPES, 3, LinearConfig())
    wanted = sum(parameter.numel() for parameter in head.parameters())
    assert count_parameters(head) == (wanted, wanted)


def test_a_regression_counts_its_weights() -> None:
    assert count_parameters(build_head("logreg", SHAPES, 3, LogRegConfig())) == (39, 39)


def test_a_base_is_computed_with_and_not_trained_and_counted_once() -> None:
    head = build_head("linear", SHAPES, 3, LinearConfig())
    own, _ = count_parameters(head)
    base = nn.Linear(10, 10, bias=False)
    head.bases = [Base("a", "b", base), Base("a", "b", base), Base("began from", "c")]
    assert count_parameters(head) == (own + 100, own)


def test_a_weight_in_four_bits_counts_as_what_it_stands_for() -> None:
    head = build_head("linear", SHAPES, 3, LinearConfig())
    own, _ = count_parameters(head)
    base = nn.Module()
    base.weight = nn.Parameter(torch.zeros(50, 1))
    base.weight.quant_state = SimpleNamespace(shape=(10, 10))
    head.bases = [Base("a", "b", base)]
    assert count_parameters(head) == (own + 100, own)


def test_a_cost_stands_beside_its_predictions(tmp_path: Path) -> None:
    path = tmp_path / "a.b-0.parquet"
    assert read_cost(path) is None
    write_cost(path, COST)
    assert read_cost(path) == COST
    assert [file.name for file in tmp_path.iterdir()] == ["a.b-0.cost.json"]
    forget_cost(path)
    assert read_cost(path) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_damaged_cost_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.cost.json").write_text(content)
    with pytest.raises(PredictionsError, match=r"a\.cost\.json: is damaged; remove it"):
        read_cost(tmp_path / "a.parquet")


def test_seconds_are_those_of_all_runs_over_all_clips() -> None:
    other = Cost(num_parameters=7, num_trained=5, seconds=1.0, num_clips=12, device="cpu")
    table = costs_table([("a", COST), ("b", None), ("a", other)])
    wanted = pd.DataFrame(
        [["a", 2, 16, 0.25, "cpu"], ["b", 0, 0, float("nan"), ""]],
        columns=["system", "runs", "clips", "seconds_per_clip", "device"],
    )
    pd.testing.assert_frame_equal(table, wanted)
